"""Pictures with matplotlib: latency against accuracy, drawn the same for the file on disk and the page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True, slots=True)
class Point:
    """A network in the plane of latency (ms) and top-1 accuracy (%), with the name to write beside it."""

    latency_ms: float
    top1: float
    name: str = ""


def draw_front(
    front: Sequence[Point],
    references: Sequence[Point],
    chosen: Point,
    budget_ms: float,
    *,
    title: str,
    accuracy: str,
) -> Drawing:
    """Draw a front with reference networks, the chosen network and the budget; `accuracy` names the vertical axis."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(9, 5), layout="constrained")
    axes = drawing.add_subplot()
    axes.step(
        [point.latency_ms for point in front], [point.top1 for point in front],
        where="post", color="#0b6bcb", linewidth=1.5, marker="o", markersize=3.5, label="Pareto front of the search",
    )  # fmt: skip
    if references:
        axes.plot(
            [point.latency_ms for point in references], [point.top1 for point in references],
            "D", color="#5b6675", markersize=5, label="reference networks, same predictor and table",
        )  # fmt: skip
    for point in references:
        axes.annotate(
            point.name, (point.latency_ms, point.top1), xytext=(6, -10), textcoords="offset points", fontsize=8.5,
            color="#3b4655",
        )  # fmt: skip
    axes.axvline(budget_ms, color="#c8372d", linewidth=1, linestyle="--", label=f"budget {budget_ms:g} ms")
    axes.plot(
        [chosen.latency_ms], [chosen.top1], "*", color="#c8372d", markersize=15, label=chosen.name, zorder=5
    )
    axes.set_xlabel("predicted latency on the phone [ms]")
    axes.set_ylabel(f"{accuracy} [%]")
    axes.set_title(title, fontsize=11, loc="left")
    axes.grid(color="#e3e8ee", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return drawing


def png_bytes(drawing: Drawing) -> bytes:
    """Return a drawing as a PNG file; the same drawing gives the same bytes."""
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    return buffer.getvalue()


def svg_text(drawing: Drawing) -> str:
    """Return a drawing as an inline `<svg>` element with its text as text; the same drawing gives the same text."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "nas"}):
        drawing.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
