"""How fast the scan is: beside its reference, other libraries and what the machine allows.

One row per workload (:mod:`.workloads`): every contestant of a row runs interleaved in one
process (:mod:`.timing`); other libraries (:mod:`.peers`, :mod:`.jax_peer`) take part where they
are installed. What must move and multiply at least (:mod:`.limits`), peak memory
(:mod:`.memory`) and growth with steps and batch (:mod:`.growth`) stand beside it. ``core bench``
(:mod:`.command`) prints the table (:mod:`.table`).
"""
