"""Pictures of a slimming run: the widths before and after, and the path of accuracy against cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.report.drawing import ACCENT, FAINT, SERIES, new_drawing, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

BEFORE, AFTER = FAINT, ACCENT


@dataclass(frozen=True, slots=True)
class Path:
    """The networks a method passed through: costs, and top-1 in percent after the short fine-tuning of each."""

    method: str
    costs: tuple[float, ...]
    top1: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class End:
    """A method's finished network: its cost, and its test top-1 in percent for each repetition."""

    method: str
    kind: str
    cost: float
    top1: tuple[float, ...]


def draw_channels(names: Sequence[str], before: Sequence[int], after: Sequence[int]) -> Drawing:
    """Draw the width of every group before and after, in running order."""
    drawing = new_drawing(max(7.0, 0.36 * len(names)), 4.6)
    axes = drawing.add_subplot()
    places = range(len(names))
    axes.bar(places, before, color=BEFORE, width=0.8, label="before")
    axes.bar(places, after, color=AFTER, width=0.5, label="after")
    for place, (old, new) in enumerate(zip(before, after, strict=True)):
        if old != new:
            axes.annotate(f"{new}", (place, old), ha="center", va="bottom", fontsize=7.5, color=AFTER)
    axes.set_xticks(places, names, rotation=90, fontsize=8)
    axes.set_ylabel("channels")
    tidy(axes)
    return drawing


def draw_paths(paths: Sequence[Path], ends: Sequence[End], *, cost: str) -> Drawing:
    """Draw accuracy while slimming, and the finished networks; `cost` names the horizontal axis with its unit."""
    drawing = new_drawing(10.5, 4.4)
    left, right = drawing.subplots(1, 2)
    methods = list(dict.fromkeys([path.method for path in paths] + [end.method for end in ends]))
    colour = {method: SERIES[place % len(SERIES)] for place, method in enumerate(methods)}
    named: set[str] = set()
    for path in paths:
        label = path.method if path.method not in named else None
        named.add(path.method)
        left.plot(path.costs, path.top1, "o-", markersize=3, linewidth=1.2, color=colour[path.method], label=label)
    left.invert_xaxis()
    left.set_ylabel("search-split top-1 after the short fine-tuning [%]")
    for end in ends:
        marker = "o" if end.kind == "fine-tuned" else "^"
        costs = [end.cost] * len(end.top1)
        right.plot(costs, end.top1, marker, color=colour[end.method], label=f"{end.method}, {end.kind}", alpha=0.85)
    right.set_ylabel("test top-1 of the finished networks [%]")
    for axes in (left, right):
        axes.set_xlabel(cost)
        tidy(axes)
    return drawing
