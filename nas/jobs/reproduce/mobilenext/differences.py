"""How networks of sandglasses stand against those of inverted residuals, in points of top-1, by share and recipe.

Differences are taken between trainings of one seed at one latency, so of the same images in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.jobs.compare.run import interval
from nas.jobs.reproduce.findings import Table
from nas.jobs.reproduce.mobilenext.candidates import PLAIN, Candidate

OVER_ALL = "all recipes"


@dataclass(frozen=True)
class Differences:
    """Sandglass less inverted residual by block, then recipe (`OVER_ALL` too): points over widths and seeds."""

    points: Mapping[str, Mapping[str, Sequence[float]]]

    def table(self) -> Table:
        """Return the mean differences with their intervals."""
        columns = list(next(iter(self.points.values()), {}))
        return Table(
            title="Sandglass against inverted residual, points of test top-1",
            columns=("block", *columns),
            rows=[(block, *(_told(by_recipe[one]) for one in columns)) for block, by_recipe in self.points.items()],
            note="Mean difference over widths and seeds, each between two trainings of one seed, with its 95 % "
            "interval where there are several. Above 0 the sandglass is ahead.",
        )

    def figures(self) -> dict[str, Any]:
        """Return mean and interval of every block and recipe."""
        return {
            block: {one: {"mean": float(np.mean(found)), "interval": _interval(found)} for one, found in rows.items()}
            for block, rows in self.points.items()
        }

    def conclusions(self) -> list[str]:
        """Return in words which differences over all recipes exclude 0 and which do not."""
        known = {block: rows[OVER_ALL] for block, rows in self.points.items() if _interval(rows[OVER_ALL]) is not None}
        decided = [block for block, found in known.items() if _excludes_zero(found)]
        lines = [f"{block} {_told(known[block])} points against the inverted residual." for block in decided]
        open_ones = [block for block in known if block not in decided]
        if open_ones:
            lines.append(f"Not told apart from the inverted residual: {'; '.join(open_ones)}.")
        return lines


def differences(top1: Mapping[tuple[Candidate, str], Sequence[float]]) -> Differences:
    """Return the differences of all sandglasses, from top-1 by network and recipe with one value for each seed."""
    plain = {(one.width, recipe): found for (one, recipe), found in top1.items() if one.block == PLAIN}
    recipes = [*dict.fromkeys(recipe for _, recipe in top1)]
    points: dict[str, dict[str, list[float]]] = {}
    for (one, recipe), found in top1.items():
        if one.block == PLAIN:
            continue
        rows = points.setdefault(one.block, {key: [] for key in (*recipes, OVER_ALL)})
        gaps = np.subtract(found, plain[one.width, recipe]).tolist()
        rows[recipe] += gaps
        rows[OVER_ALL] += gaps
    return Differences(points)


def _interval(points: Sequence[float]) -> list[float] | None:
    return interval(np.array(points))


def _excludes_zero(points: Sequence[float]) -> bool:
    found = _interval(points)
    return found is not None and not found[0] <= 0 <= found[1]


def _told(points: Sequence[float]) -> str:
    found = _interval(points)
    gap = f"{np.mean(points):+.2f}"
    return gap if found is None else f"{gap} ({found[0]:+.2f} to {found[1]:+.2f})"
