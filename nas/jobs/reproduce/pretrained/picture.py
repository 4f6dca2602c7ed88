"""The picture of the comparison: top-1 over predicted latency, a mark for each method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

MARKS = "osD^vX"


def draw_comparison(found: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw every run of every method as a PNG file; latency in ms with its interval, top-1 in percent."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    methods = list(dict.fromkeys(one["method"] for one in found))
    for mark, name in zip(MARKS, methods, strict=False):
        runs = [one for one in found if one["method"] == name]
        latency = [one["latency_ms"] for one in runs]
        ends = [
            [one["latency_ms"] - one["low_ms"] for one in runs],
            [one["high_ms"] - one["latency_ms"] for one in runs],
        ]
        axes.errorbar(
            latency, [one["top1"] for one in runs], xerr=ends, fmt=mark, label=name, alpha=0.8, elinewidth=0.8
        )
    axes.set_xlabel("predicted latency on Pixel 1, ms")
    axes.set_ylabel("top-1, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=130)
