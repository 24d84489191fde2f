"""How programs of a GPU that run at once wait for each other, as text of a Triton module."""

from __future__ import annotations

#: Elements of an int32 array between two counters: each has a line of the cache for itself.
APART = 32
#: A program writes, then calls ``arrive``; another one calls ``wait_for``, then reads. A barrier
#: inside of a program orders its threads, and the release and the acquire of the one thread that
#: touches the counter order memory among programs: together, whatever any thread wrote before
#: ``arrive`` is seen by every thread after ``wait_for``. Counters only grow, so that nobody has to
#: reset one while others still look. All programs must be on the device at once: a cooperative
#: launch is refused where they are too many for it, any other would wait for ever.
MEETING = '''
@triton.jit
def arrive(counter):
    """Tell the others at ``counter`` that all threads of this program have written."""
    tl.debug_barrier()
    tl.atomic_add(counter, 1, sem="release", scope="gpu")


@triton.jit
def wait_for(counter, arrivals):
    """Wait until ``counter`` has seen so many arrivals."""
    while tl.atomic_add(counter, 0, sem="acquire", scope="gpu") < arrivals:
        pass
    tl.debug_barrier()
'''
