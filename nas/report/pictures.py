"""Pictures with matplotlib: latency against accuracy, drawn the same for the file on disk and the page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_BLUE, _RED, _GREY = "#0b6bcb", "#c8372d", "#4c5766"


@dataclass(frozen=True, slots=True)
class Point:
    """A network in the plane of latency (ms) and top-1 accuracy (%), with the name to write beside it."""

    latency_ms: float
    top1: float
    name: str = ""


def draw_front(front: Sequence[Point], references: Sequence[Point], chosen: Point, budget_ms: float) -> Drawing:
    """Draw a front, reference networks, the chosen network and the budget."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(9, 4.8), layout="constrained")
    axes = drawing.add_subplot()
    axes.plot(*_columns(front), drawstyle="steps-post", color=_BLUE, linewidth=1.5)
    axes.plot(*_columns(front), "o", color=_BLUE, markersize=2.5, label="best found at each latency")
    axes.plot(*_columns(references), "D", color=_GREY, markersize=5, label="reference networks")
    for point in references:
        place = (point.latency_ms, point.top1)
        axes.annotate(point.name, place, xytext=(6, -10), textcoords="offset points", fontsize=8.5, color=_GREY)
    axes.axvline(budget_ms, color=_RED, linewidth=1, linestyle="--", label=f"budget {budget_ms:g} ms")
    axes.plot(*_columns([chosen]), "*", color=_RED, markersize=15, label=chosen.name, zorder=5)
    axes.set_xlabel("predicted latency on the phone [ms]")
    axes.set_ylabel("top-1 accuracy [%]")
    axes.grid(color="#e3e8ee", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=True, facecolor="white", edgecolor="none", framealpha=0.9, fontsize=9, loc="lower right")
    return drawing


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [point.latency_ms for point in points], [point.top1 for point in points]


def png_bytes(drawing: Drawing) -> bytes:
    """Return a drawing as a PNG file; the same drawing gives the same bytes."""
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    return buffer.getvalue()


def svg_text(drawing: Drawing) -> str:
    """Return a drawing as an `<svg>` element with its text as text; the same drawing gives the same text."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "nas"}):
        drawing.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
