"""Branch and bound over units: boxes are one cluster of settings for each unit, the loosest one is divided next."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nas.bounds._background import Background, background, rest_norm
from nas.bounds._clusters import Clusters, clusters
from nas.bounds._mixture import WEIGHTS
from nas.bounds._pieces import Pieces
from nas.bounds._units import Units
from nas.objectives import Values

_PRICES = np.concatenate([[0.0], np.geomspace(0.002, 1.0, 25)])  # points of top-1 for a millisecond
_BATCH = 64
_SHARE = 0.75  # of the additive stand-in, the rest of the mean; 1 and 0.5 bound some hundredths of a point worse
_DRAWN = 48  # settings that stand for a background

Boxes = NDArray[np.intp]  # (boxes, units), the number of each unit's cluster


@dataclass(frozen=True)
class _Stand:
    """One background with its extremes by unit: `best` (prices, nodes), closeness (rates, nodes)."""

    background: Background
    best: tuple[Values, ...]
    nearest: tuple[Values, ...]
    farthest: tuple[Values, ...]
    constant: float
    share: float


class Branching:
    """Bounds the predicted top-1 of all networks within the budget."""

    def __init__(self, pieces: Pieces, units: Units) -> None:
        self.pieces = pieces
        self.units = units
        self.clusters: tuple[Clusters, ...] = tuple(clusters(one) for one in pieces.features)
        self._sum_low = [c.smallest(s) for c, s in zip(self.clusters, pieces.sums, strict=True)]
        self._sum_high = [c.largest(s) for c, s in zip(self.clusters, pieces.sums, strict=True)]
        self._stands: list[_Stand] = []
        root: Boxes = np.zeros((1, len(units.members)), dtype=np.intp)
        self._heap: list[tuple[float, tuple[int, ...]]] = [(-np.inf, tuple(root[0].tolist()))]
        self.closed = -np.inf

    @property
    def bound(self) -> float:
        """What no network exceeds, as far as boxes were divided."""
        return max(self.closed, -self._heap[0][0] if self._heap else -np.inf)

    def look_from(self, drawn: Sequence[NDArray[np.intp]]) -> None:
        """Add a background, made of settings of each unit, and tighten every box by it."""
        new = self._stand(background(self.pieces, drawn), _SHARE)
        self._stands.append(new)
        if not self._heap:
            return
        boxes = np.array([box for _, box in self._heap])
        known = -np.array([bound for bound, _ in self._heap])
        found = [self._bounds(boxes[i : i + 2 * _BATCH], [new]) for i in range(0, len(boxes), 2 * _BATCH)]
        self._heap = [
            (-bound, tuple(box))
            for bound, box in zip(np.minimum(known, np.concatenate(found)), boxes.tolist(), strict=True)
        ]
        heapq.heapify(self._heap)

    def divide(self, boxes: int) -> None:
        """Divide about that many boxes, the loosest first; boxes that cannot be divided keep their bound."""
        for _ in range(max(boxes // _BATCH, 1)):
            if not self._heap or self.closed >= self.bound:
                return
            taken = [heapq.heappop(self._heap) for _ in range(min(_BATCH, len(self._heap)))]
            parents, children = [], []
            for negative, box in taken:
                halves = self._halves(box)
                if not halves:
                    self.closed = max(self.closed, -negative)
                parents += [-negative] * len(halves)
                children += halves
            if not children:
                continue
            found = np.minimum(self._bounds(np.array(children), self._stands), parents)
            for bound, child in zip(found.tolist(), children, strict=True):
                heapq.heappush(self._heap, (-bound, child))

    def loosest(self, count: int, rng: np.random.Generator) -> list[NDArray[np.intp]]:
        """Return settings of each unit drawn from the boxes that bound worst, for a background there."""
        boxes = [box for _, box in heapq.nsmallest(count, self._heap)] or [(0,) * len(self.clusters)]
        drawn = []
        for unit, tree in enumerate(self.clusters):
            spans = [(tree.first[box[unit]], tree.last[box[unit]]) for box in boxes]
            each = -(-_DRAWN // len(spans))
            picks = [tree.order[rng.integers(first, last)] for first, last in spans for _ in range(each)]
            drawn.append(np.array(picks[:_DRAWN]))
        return drawn

    def typical(self, rng: np.random.Generator, sharpness: float) -> list[NDArray[np.intp]]:
        """Return settings drawn by how good they are for their cost, `sharpness` 0: all alike."""
        gains = self._stands[-1].background.gains if self._stands else [np.zeros(len(g)) for g in self.pieces.gains]
        gains = [self.pieces.scale * a + b for a, b in zip(gains, self.pieces.gains, strict=True)]
        price = self._price(gains)
        drawn = []
        for unit, gain in zip(self.units.members, gains, strict=True):
            worth = gain - price * unit.cost_ms
            weight = np.exp(sharpness * (worth - worth.max()))
            drawn.append(rng.choice(len(worth), size=_DRAWN, p=weight / weight.sum()))
        return drawn

    def _price(self, gains: Sequence[Values]) -> float:
        """Return the price of a millisecond at which the additive part alone is bounded best."""
        worth = [
            price * self.units.room_ms
            + sum(float((g - price * u.cost_ms).max()) for g, u in zip(gains, self.units.members, strict=True))
            for price in _PRICES
        ]
        return float(_PRICES[int(np.argmin(worth))])

    def _stand(self, seen: Background, share: float) -> _Stand:
        pieces = self.pieces
        gains = [pieces.scale * share * a + b for a, b in zip(seen.gains, pieces.gains, strict=True)]
        means = 1 - share - share * (pieces.groups - 1)
        constant = pieces.constant + pieces.scale * means * seen.mean
        for number, (smooth, linear) in enumerate(seen.total_gains):
            slope, above = _line_above(pieces.scale * (share * smooth + linear))
            constant += above - slope * seen.lowest[number]
            gains = [gain + slope * sums[number] for gain, sums in zip(gains, pieces.sums, strict=True)]
        worth = [g - _PRICES[:, None] * u.cost_ms for g, u in zip(gains, self.units.members, strict=True)]
        return _Stand(
            seen,
            tuple(tree.largest(one) for tree, one in zip(self.clusters, worth, strict=True)),
            tuple(tree.largest(one) for tree, one in zip(self.clusters, seen.closeness, strict=True)),
            tuple(tree.smallest(one) for tree, one in zip(self.clusters, seen.closeness, strict=True)),
            constant,
            share,
        )

    def _halves(self, box: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Divide the unit whose division changes most, in gain or in closeness to the last background."""
        change = np.full(len(box), -1.0)
        for unit, node in enumerate(box):
            tree = self.clusters[unit]
            if tree.left[node] >= 0:
                stand = self._stands[-1]
                pair = [tree.left[node], tree.right[node]]
                drop = stand.best[unit][:, node] - stand.best[unit][:, pair].min(1)
                spread = stand.nearest[unit] - stand.farthest[unit]
                less = WEIGHTS @ (2 * spread[:, node] - spread[:, pair].sum(1))
                change[unit] = float(np.median(drop)) + self.pieces.scale * self.pieces.norm * float(less) / 2
        unit = int(change.argmax())
        if change[unit] < 0:
            return []
        tree = self.clusters[unit]
        return [(*box[:unit], int(half), *box[unit + 1 :]) for half in (tree.left[box[unit]], tree.right[box[unit]])]

    def _bounds(self, boxes: Boxes, stands: Sequence[_Stand]) -> Values:
        """Return a bound of every box, (boxes,), the best of all backgrounds."""
        found = np.full(len(boxes), np.inf)
        for stand in stands:
            additive = sum(stand.best[unit][:, boxes[:, unit]] for unit in range(boxes.shape[1]))
            additive = (additive + _PRICES[:, None] * self.units.room_ms).min(0) + stand.constant
            norm = np.sqrt(np.maximum(self._rest(stand, boxes), 0.0))
            found = np.minimum(found, additive + self.pieces.scale * self.pieces.norm * norm)
        return found

    def _rest(self, stand: _Stand, boxes: Boxes) -> Values:
        """Return the largest squared norm of the rest in every box: it is linear in each closeness, so at a corner."""
        ends = [
            (stand.farthest[unit][:, boxes[:, unit]], stand.nearest[unit][:, boxes[:, unit]])
            for unit in range(boxes.shape[1])
        ]
        for number, closeness in enumerate(stand.background.total_closeness):
            low, high = (
                sum(side[unit][number][boxes[:, unit]] for unit in range(boxes.shape[1]))
                for side in (self._sum_low, self._sum_high)
            )
            lowest = stand.background.lowest[number]
            at = [closeness[:, (end - lowest).astype(np.intp)] for end in (low, high)]
            ends.append((np.minimum(*at), np.ones_like(at[0])))
        corners = np.array(list(product((0, 1), repeat=len(ends))))
        closeness = np.stack([np.stack(pair)[corners[:, group]] for group, pair in enumerate(ends)])
        itself = stand.background.self_closeness.T[:, None, :, None]
        squared = rest_norm(closeness, itself, stand.share)  # (corners, rates, boxes)
        return np.asarray((WEIGHTS[:, None] * squared.max(0)).sum(0))


def _line_above(values: Values) -> tuple[float, float]:
    """Return slope and intercept of a line that values at 0, 1, 2 ... nowhere exceed."""
    at = np.arange(len(values))
    if len(values) < 2:
        return 0.0, float(values.max())
    slope = float(np.polyfit(at, values, 1)[0])
    return slope, float((values - slope * at).max())
