"""Branch and bound over units: boxes are one cluster of settings for each unit, the loosest one is divided next."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.bounds._background import background
from nas.bounds._clusters import clusters
from nas.bounds._pieces import Pieces
from nas.bounds._stands import PRICES, Boxes, Divided, Stand, stand_on
from nas.bounds._units import Units
from nas.objectives import Values

_CORNERS = 8192  # walked at once: the boxes of a batch times the corners of each
_DRAWN = 48  # settings that stand for a background


class Branching:
    """Bounds the predicted top-1 of all networks within the budget."""

    def __init__(self, pieces: Pieces, units: Units) -> None:
        trees = tuple(clusters(one) for one in pieces.features)
        self.pieces = pieces
        self.units = units
        self.divided = Divided(
            pieces,
            units,
            trees,
            tuple(tree.smallest(sums) for tree, sums in zip(trees, pieces.sums, strict=True)),
            tuple(tree.largest(sums) for tree, sums in zip(trees, pieces.sums, strict=True)),
        )
        self._batch = max(_CORNERS >> pieces.groups, 1)
        self._stands: list[Stand] = []
        self._heap: list[tuple[float, tuple[int, ...]]] = [(-np.inf, (0,) * len(units.members))]
        self.closed = -np.inf

    @property
    def bound(self) -> float:
        """What no network exceeds, as far as boxes were divided."""
        return max(self.closed, -self._heap[0][0] if self._heap else -np.inf)

    def look_from(self, drawn: Sequence[NDArray[np.intp]]) -> None:
        """Add a background, made of settings of each unit, and tighten every box by it."""
        new = stand_on(self.divided, background(self.pieces, drawn))
        self._stands.append(new)
        if not self._heap:
            return
        boxes = np.array([box for _, box in self._heap])
        known = -np.array([bound for bound, _ in self._heap])
        tightened = np.minimum(known, self._bounds(boxes, [new]))
        self._heap = [(-bound, tuple(box)) for bound, box in zip(tightened.tolist(), boxes.tolist(), strict=True)]
        heapq.heapify(self._heap)

    def divide(self, boxes: int) -> None:
        """Divide about that many boxes, the loosest first; boxes that cannot be divided keep their bound."""
        for _ in range(max(boxes // self._batch, 1)):
            if not self._heap or self.closed >= self.bound:
                return
            taken = [heapq.heappop(self._heap) for _ in range(min(self._batch, len(self._heap)))]
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
        boxes = [box for _, box in heapq.nsmallest(count, self._heap)] or [(0,) * len(self.units.members)]
        drawn = []
        for unit, tree in enumerate(self.divided.clusters):
            spans = [(tree.first[box[unit]], tree.last[box[unit]]) for box in boxes]
            each = -(-_DRAWN // len(spans))
            picks = [tree.order[rng.integers(first, last)] for first, last in spans for _ in range(each)]
            drawn.append(np.array(picks[:_DRAWN]))
        return drawn

    def typical(self, rng: np.random.Generator, sharpness: float) -> list[NDArray[np.intp]]:
        """Return settings drawn by how good they are for their cost, `sharpness` 0: all alike."""
        gains = self._stands[0].background.gains if self._stands else [np.zeros(len(g)) for g in self.pieces.gains]
        gains = [self.pieces.scale * a + b for a, b in zip(gains, self.pieces.gains, strict=True)]
        worth = [g - PRICES[:, None] * u.cost_ms for g, u in zip(gains, self.units.members, strict=True)]
        price = self.divided.price([one.max(1) for one in worth])
        drawn = []
        for one in worth:
            weight = np.exp(sharpness * (one[price] - one[price].max()))
            drawn.append(rng.choice(len(weight), size=_DRAWN, p=weight / weight.sum()))
        return drawn

    def _halves(self, box: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Divide the unit whose division lowers the bound most."""
        stand, drops = self._stands[-1], np.full(len(box), -1.0)
        for unit, node in enumerate(box):
            tree = self.divided.clusters[unit]
            if tree.left[node] >= 0:
                pair = [tree.left[node], tree.right[node]]
                drops[unit] = float(np.median(stand.best[unit][:, [node]] - stand.best[unit][:, pair]))
        unit = int(drops.argmax())
        if drops[unit] < 0:
            return []
        tree = self.divided.clusters[unit]
        return [(*box[:unit], int(half), *box[unit + 1 :]) for half in (tree.left[box[unit]], tree.right[box[unit]])]

    def _bounds(self, boxes: Boxes, stands: Sequence[Stand]) -> Values:
        """Return a bound of every box, (boxes,), the best of all backgrounds."""
        parts = np.split(boxes, range(2 * self._batch, len(boxes), 2 * self._batch))
        return np.concatenate([np.min([stand.bounds(part) for stand in stands], axis=0) for part in parts])
