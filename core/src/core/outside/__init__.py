"""Where what others wrote becomes values: text, its shape, and tensors.

Files of a run, records, claims, manifests and checkpoints may be damaged, written by another
version, or made to do harm. Every reader of the house takes them through one of three modules, so
that each outcome is a value of a known type or a :class:`~core.errors.UserError`:

- :mod:`.text`: UTF-8, JSON, JSON lines and YAML, bounded in size and depth;
- :mod:`.shape`: which types and fields a value must have, and which names may become paths;
- :mod:`.tensors`: archives of ``torch.save`` and the tensors in them (imports PyTorch).
"""
