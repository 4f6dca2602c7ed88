"""Pictures with matplotlib: latency against accuracy, drawn the same for the file on disk and the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.report.drawing import ACCENT, ALERT, SOFT, new_drawing, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True, slots=True)
class Point:
    """A network in the plane of latency (ms) and top-1 accuracy (%), with the name to write beside it."""

    latency_ms: float
    top1: float
    name: str = ""


def draw_front(front: Sequence[Point], references: Sequence[Point], chosen: Point, budget_ms: float) -> Drawing:
    """Draw a front, reference networks, the chosen network and the budget."""
    drawing = new_drawing(8, 4.6)
    axes = drawing.add_subplot()
    axes.plot(*_columns(front), drawstyle="steps-post", color=ACCENT, linewidth=1.5)
    axes.plot(*_columns(front), "o", color=ACCENT, markersize=2.5, label="best found at each latency")
    axes.plot(*_columns(references), "D", color=SOFT, markersize=5, label="reference networks")
    for point in references:
        place = (point.latency_ms, point.top1)
        axes.annotate(point.name, place, xytext=(6, -10), textcoords="offset points", fontsize=8.5, color=SOFT)
    axes.axvline(budget_ms, color=ALERT, linewidth=1, linestyle="--", label=f"budget {budget_ms:g} ms")
    axes.plot(*_columns([chosen]), "*", color=ALERT, markersize=15, label=chosen.name, zorder=5)
    axes.set_xlabel("predicted latency on the phone [ms]")
    axes.set_ylabel("top-1 accuracy [%]")
    tidy(axes, legend=False)
    axes.legend(frameon=True, facecolor="white", edgecolor="none", framealpha=0.9, fontsize=9, loc="lower right")
    return drawing


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [point.latency_ms for point in points], [point.top1 for point in points]
