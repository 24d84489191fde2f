"""What a network starts from: least, greatest and mean value of every tensor, layer by layer."""

from __future__ import annotations

from torch import nn

from bsnn.models import BSNN
from bsnn.published import to_published


def summary(model: nn.Module) -> str:
    """A line per tensor, by the authors' names; nothing of counts of batches."""
    assert isinstance(model, BSNN)
    lines = []
    for name, tensor in to_published(model.state_dict()).items():
        if tensor.is_floating_point():
            least, most = float(tensor.min()), float(tensor.max())
            lines.append(
                f"{name}: min {least:.6g}, max {most:.6g}, mean {float(tensor.mean()):.6g}"
            )
    return "\n".join(lines)
