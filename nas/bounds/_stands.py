"""A background turned into one bound a setting: what each setting of each unit counts, at several prices of latency.

The bound of a network is the additive stand-in and the norm of what that leaves. The norm is the root of a polynomial,
linear in how close each unit's setting is to the background. The root lies below its tangents, and the polynomial below
a sum over units (`slopes`) and its largest rest at the corners of a box: so the doubt of each setting is counted with
its gain, and a setting far from the background is not paired with the gain of one near it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nas.bounds._background import Background, rest_norm
from nas.bounds._clusters import Clusters
from nas.bounds._mixture import WEIGHTS
from nas.bounds._pieces import Pieces
from nas.bounds._units import Units
from nas.objectives import Values

PRICES = np.concatenate([[0.0], np.geomspace(0.002, 1.0, 25)])  # points of top-1 for a millisecond
_SHARE = 0.65  # of the additive stand-in, the rest of the mean; 0.5 and 1 bound a tenth and a half point worse
_TANGENT = 0.2  # where the first tangent to the root of the rest's squared norm touches
_TANGENTS = 4  # tried, each at the network that the one before bounds worst

Boxes = NDArray[np.intp]  # (boxes, units), the number of each unit's cluster


@dataclass(frozen=True)
class Divided:
    """A predictor's pieces with the clusters of each unit's settings and the extremes of the totals in each cluster."""

    pieces: Pieces
    units: Units
    clusters: tuple[Clusters, ...]
    sum_low: tuple[Values, ...]
    sum_high: tuple[Values, ...]

    def price(self, worth: Sequence[Values]) -> int:
        """Return the number of the price at which the best of each unit, (prices,) by unit, bounds best."""
        return int((sum(worth) + PRICES * self.units.room_ms).argmin())


@dataclass(frozen=True)
class Stand:
    """One background with the extremes by cluster: `best` (prices, nodes), closeness (rates, nodes).

    `slopes` (groups, rates) times the closeness of each setting are counted in `best`; `tangent` is the squared norm at
    which the tangent touches the root.
    """

    divided: Divided
    background: Background
    best: tuple[Values, ...]
    nearest: tuple[Values, ...]
    farthest: tuple[Values, ...]
    constant: float
    slopes: Values
    tangent: float

    def bounds(self, boxes: Boxes) -> Values:
        """Return a bound of every box, (boxes,)."""
        pieces, room_ms = self.divided.pieces, self.divided.units.room_ms
        additive = sum(self.best[unit][:, boxes[:, unit]] for unit in range(boxes.shape[1]))
        additive = (additive + PRICES[:, None] * room_ms).min(0) + self.constant
        return np.asarray(additive + pieces.scale * pieces.norm / (2 * self.tangent**0.5) * self._rest(boxes))

    def _rest(self, boxes: Boxes) -> Values:
        """Return the most that the squared norm has beside the slopes: linear in each closeness, so at a corner."""
        ends = [
            (self.farthest[unit][:, boxes[:, unit]], self.nearest[unit][:, boxes[:, unit]])
            for unit in range(boxes.shape[1])
        ]
        for number, closeness in enumerate(self.background.total_closeness):
            low, high = (
                sum(side[unit][number][boxes[:, unit]] for unit in range(boxes.shape[1]))
                for side in (self.divided.sum_low, self.divided.sum_high)
            )
            lowest = self.background.lowest[number]
            at = [closeness[:, (end - lowest).astype(np.intp)] for end in (low, high)]
            ends.append((np.minimum(*at), np.ones_like(at[0])))
        corners = np.array(list(product((0, 1), repeat=len(ends))))
        closeness = np.stack([np.stack(pair)[corners[:, group]] for group, pair in enumerate(ends)])
        itself = self.background.self_closeness.T[:, None, :, None]
        squared = rest_norm(closeness, itself, _SHARE)  # (corners, rates, boxes)
        squared = squared - (self.slopes[:, None, :, None] * closeness).sum(0)
        return np.asarray((WEIGHTS[:, None] * squared.max(0)).sum(0))


def stand_on(divided: Divided, seen: Background) -> Stand:
    """Return the best of a few stands on a background, each tangent at the network that the one before bounds worst."""
    slopes, tangent = np.zeros((divided.pieces.groups, len(WEIGHTS))), _TANGENT
    root: Boxes = np.zeros((1, len(divided.clusters)), dtype=np.intp)
    tried = []
    for _ in range(_TANGENTS):
        gains, constant = _gains(divided, seen, slopes, tangent)
        worth = [g - PRICES[:, None] * u.cost_ms for g, u in zip(gains, divided.units.members, strict=True)]
        stand = Stand(
            divided,
            seen,
            tuple(tree.largest(one) for tree, one in zip(divided.clusters, worth, strict=True)),
            tuple(tree.largest(one) for tree, one in zip(divided.clusters, seen.closeness, strict=True)),
            tuple(tree.smallest(one) for tree, one in zip(divided.clusters, seen.closeness, strict=True)),
            constant,
            slopes,
            tangent,
        )
        tried.append((float(stand.bounds(root)[0]), stand))
        price = divided.price([best[:, 0] for best in stand.best])
        slopes, tangent = _touching(divided, seen, [int(one[price].argmax()) for one in worth])
    return min(tried, key=lambda one: one[0])[1]


def _gains(divided: Divided, seen: Background, slopes: Values, tangent: float) -> tuple[list[Values], float]:
    """Return what each setting of each unit counts, (n,) by unit, and what every network has beside that."""
    pieces, units = divided.pieces, len(divided.clusters)
    weight = pieces.scale * pieces.norm / (2 * tangent**0.5) * WEIGHTS
    gains = [
        pieces.scale * _SHARE * smooth + own + (weight * slope) @ close
        for smooth, own, slope, close in zip(seen.gains, pieces.gains, slopes[:units], seen.closeness, strict=True)
    ]
    means = 1 - _SHARE - _SHARE * (pieces.groups - 1)
    constant = pieces.constant + pieces.scale * (means * seen.mean + pieces.norm * tangent**0.5 / 2)
    for number, (smooth, linear) in enumerate(seen.total_gains):
        near = (weight * slopes[units + number]) @ seen.total_closeness[number]
        slope, above = _line_above(pieces.scale * (_SHARE * smooth + linear) + near)
        constant += above - slope * seen.lowest[number]
        gains = [gain + slope * sums[number] for gain, sums in zip(gains, pieces.sums, strict=True)]
    return gains, constant


def _touching(divided: Divided, seen: Background, settings: Sequence[int]) -> tuple[Values, float]:
    """Return the slopes (groups, rates) of the squared norm in each closeness at one network, and the norm there."""
    close = [one[:, [i]] for one, i in zip(seen.closeness, settings, strict=True)]
    for number, closeness in enumerate(seen.total_closeness):
        total = sum(float(sums[number, i]) for sums, i in zip(divided.pieces.sums, settings, strict=True))
        close.append(closeness[:, [int(total) - seen.lowest[number]]])
    at, itself = np.stack(close), seen.self_closeness.T[:, :, None]
    slopes = []
    for group in range(len(at)):
        low, high = at.copy(), at.copy()
        low[group], high[group] = 0.0, 1.0
        slopes.append((rest_norm(high, itself, _SHARE) - rest_norm(low, itself, _SHARE))[:, 0])
    return np.stack(slopes), max(float(WEIGHTS @ rest_norm(at, itself, _SHARE)[:, 0]), 1e-3)


def _line_above(values: Values) -> tuple[float, float]:
    """Return slope and intercept of a line that values at 0, 1, 2 ... nowhere exceed."""
    at = np.arange(len(values))
    if len(values) < 2:
        return 0.0, float(values.max())
    slope = float(np.polyfit(at, values, 1)[0])
    return slope, float((values - slope * at).max())
