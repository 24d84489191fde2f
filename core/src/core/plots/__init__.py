"""Figures, drawn from records, raw metrics and networks with one style and no display.

Every function writes one PNG and returns its path. :mod:`.curves` draws metrics by epoch,
:mod:`.rasters` spikes of one sample, :mod:`.distributions` how values are spread over neurons.
"""

from core.plots.curves import Row, compare_curves, learning_curve
from core.plots.distributions import before_and_after, violins
from core.plots.rasters import raster
from core.plots.style import STYLE, figure

__all__ = [
    "STYLE",
    "Row",
    "before_and_after",
    "compare_curves",
    "figure",
    "learning_curve",
    "raster",
    "violins",
]
