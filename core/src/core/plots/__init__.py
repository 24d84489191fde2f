"""Figures, drawn from records, raw metrics and networks with one style and no display.

Every function writes one PNG and returns its path. :mod:`.curves` draws metrics by epoch,
:mod:`.convergence` those of groups of runs with their differences, :mod:`.dots` claims beside what
was measured, :mod:`.rasters` spikes of one sample, :mod:`.distributions` how values are spread over
neurons.
"""

from core.plots.convergence import convergence
from core.plots.curves import Row, compare_curves, learning_curve
from core.plots.distributions import before_and_after, cumulative
from core.plots.dots import Dot, Lane, dot_plot
from core.plots.rasters import raster
from core.plots.style import STYLE, figure

__all__ = [
    "STYLE",
    "Dot",
    "Lane",
    "Row",
    "before_and_after",
    "compare_curves",
    "convergence",
    "cumulative",
    "dot_plot",
    "figure",
    "learning_curve",
    "raster",
]
