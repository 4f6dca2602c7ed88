"""Pareto fronts over any metrics, and the hypervolume that says how far one reaches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.objectives._results import Results, Values

_CHECKPOINTS = 60


def pareto_front(results: Results) -> NDArray[np.intp]:
    """Return the indices of the networks that no other one beats in both latency and top-1, fastest first."""
    return front_of(results.top1, [results.latency_ms])


def front_of(top1: Values, costs: Sequence[Values]) -> NDArray[np.intp]:
    """Return the indices of the networks that no other one beats in top-1 and all costs, lowest first cost first.

    All arrays have shape (n,); of equal networks the first one stands for all.
    """
    if len(costs) == 1:
        order = np.lexsort((np.arange(len(top1)), -top1, costs[0]))
        ordered = top1[order]
        before = np.concatenate([[-np.inf], np.maximum.accumulate(ordered)[:-1]])
        return np.asarray(order[ordered > before])
    points = np.stack([-top1, *costs], axis=1)
    kept: list[int] = []
    front = np.empty((0, points.shape[1]))
    # Better ones come first, so that a network can only be beaten by one that is kept already.
    for index in np.lexsort((np.arange(len(top1)), *points.T[::-1])):
        if not (front <= points[index]).all(axis=1).any():
            kept.append(int(index))
            front = np.concatenate([front, points[index][None]])
    chosen = np.array(kept, dtype=np.intp)
    return chosen[np.lexsort((chosen, costs[0][chosen]))]


def hypervolume(top1: Values, cost: Values, reference: tuple[float, float]) -> float:
    """Return the area that networks cover above and left of `reference`, a (top-1, cost) no better than any of them.

    Both arrays have shape (n,); networks beyond the reference add nothing.
    """
    inside = (top1 > reference[0]) & (cost < reference[1])
    if not inside.any():
        return 0.0
    top1, cost = top1[inside], cost[inside]
    front = front_of(top1, [cost])
    widths = np.append(cost[front][1:], reference[1]) - cost[front]
    return float(np.sum(widths * (top1[front] - reference[0])))


def hypervolume_over_time(top1: Values, cost: Values, reference: tuple[float, float]) -> list[tuple[int, float]]:
    """Return (evaluations, hypervolume) at up to 60 evenly spaced moments of a search, the last one included."""
    marks = np.unique(np.linspace(1, len(top1), min(_CHECKPOINTS, len(top1))).astype(int))
    found, kept = [], np.empty(0, dtype=np.intp)
    for start, stop in zip((0, *marks[:-1]), marks, strict=True):
        seen = np.concatenate([kept, np.arange(start, stop)])
        kept = seen[front_of(top1[seen], [cost[seen]])]
        found.append((int(stop), hypervolume(top1[kept], cost[kept], reference)))
    return found
