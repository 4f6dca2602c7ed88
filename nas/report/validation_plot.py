"""A picture of predictions against measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from latency_lut.validate import Validation
from nas.report.drawing import new_drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_validation(validation: Validation, title: str) -> Figure:
    """Draw predicted over measured milliseconds, both logarithmic, with 5 % lines and 90 % intervals."""
    drawing = new_drawing(5.5, 5.5)
    axes = drawing.add_subplot()
    for view in sorted({comparison.view for comparison in validation.comparisons}):
        chosen = [comparison for comparison in validation.comparisons if comparison.view == view]
        measured = [comparison.measured_ms for comparison in chosen]
        predicted = [comparison.predicted_ms for comparison in chosen]
        below = [comparison.predicted_ms - comparison.low_ms for comparison in chosen]
        above = [comparison.high_ms - comparison.predicted_ms for comparison in chosen]
        label = f"{view or 'own'} ({len(chosen)})"
        axes.errorbar(measured, predicted, (below, above), fmt="o", ms=3, lw=0.6, alpha=0.7, label=label)
    times = [comparison.measured_ms for comparison in validation.comparisons]
    ends = [min(times), max(times)]
    axes.plot(ends, ends, color="black", lw=0.8)
    for factor in (0.95, 1.05):
        axes.plot(ends, [factor * end for end in ends], color="grey", lw=0.6, ls="--")
    axes.set(xscale="log", yscale="log", xlabel="measured [ms]", ylabel="predicted [ms]", title=title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(title="scale (rows); dashed: 5 %", fontsize="small", frameon=False)
    return drawing
