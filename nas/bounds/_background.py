"""An additive stand-in for the smooth part of a predictor, and what it can be wrong by.

For a distribution over networks in which units are independent (the background), the stand-in is the sum over units of
the mean with that unit fixed: the first two terms of an analysis of variance. What is left is, for every network, the
value of a linear functional of the predictor's function, so that it is at most the function's norm in the kernel's
space times the functional's. That norm is a polynomial in the mean kernels between the units' settings and the
background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.bounds._mixture import RATES, WEIGHTS, powers
from nas.bounds._pieces import Pieces
from nas.objectives import Values

_CHUNK = 256


@dataclass(frozen=True)
class Background:
    """`gains` (n,) and `closeness` (rates, n) of each unit's settings, the same of each total over its whole numbers.

    The smooth part is, in the mean of the background, `mean`, and with one group fixed `gains`; each total's gain has
    its linear part beside it. `self_closeness` (rates, groups) is that of the background with itself; totals start at
    `lowest`.
    """

    gains: tuple[Values, ...]
    closeness: tuple[Values, ...]
    total_gains: tuple[tuple[Values, Values], ...]
    total_closeness: tuple[Values, ...]
    lowest: tuple[int, ...]
    self_closeness: Values
    mean: float


def background(pieces: Pieces, drawn: Sequence[NDArray[np.intp]]) -> Background:
    """Return the stand-in for a background of equally likely settings, given by their numbers for each unit."""
    units = len(pieces.features)
    typical = sum(sums[:, picks].mean(1) for sums, picks in zip(pieces.sums, drawn, strict=True))
    places = [pieces.features[unit][picks] for unit, picks in enumerate(drawn)]
    places += [pieces.total(i, typical[[i]]) for i in range(pieces.groups - units)]
    means = np.stack([powers(_squared(at, points)).mean(1) for at, points in zip(places, pieces.points, strict=True)])
    itself = np.stack([powers(_squared(at, at)).mean((1, 2)) for at in places], axis=1)
    weighted = WEIGHTS[:, None] * pieces.weights
    columns = [weighted * np.delete(means, group, axis=0).prod(0) for group in range(pieces.groups)]
    mean = float((weighted * means.prod(0)).sum())
    ranges = _ranges(pieces)
    whole = [np.arange(low, high + 1, dtype=np.float64) for low, high in ranges]
    totals = [pieces.total(i, values) for i, values in enumerate(whole)]
    total_gains = [
        (_additive(at, pieces.points[units + i], columns[units + i]), at @ pieces.total_slopes[i])
        for i, at in enumerate(totals)
    ]
    return Background(
        gains=tuple(_additive(pieces.features[u], pieces.points[u], columns[u]) for u in range(units)),
        closeness=tuple(powers(_squared(pieces.features[u], places[u])).mean(2) for u in range(units)),
        total_gains=tuple(total_gains),
        total_closeness=tuple(powers(_squared(at, places[units + i]))[:, :, 0] for i, at in enumerate(totals)),
        lowest=tuple(low for low, _ in ranges),
        self_closeness=itself,
        mean=mean,
    )


def _ranges(pieces: Pieces) -> list[tuple[int, int]]:
    low, high = sum(s.min(1) for s in pieces.sums), sum(s.max(1) for s in pieces.sums)
    return [(int(a), int(b)) for a, b in zip(low, high, strict=True)]


def _squared(a: Values, b: Values) -> Values:
    found = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.asarray(np.maximum(found, 0.0))


def _additive(at: Values, points: Values, columns: Values) -> Values:
    """Return the sum over rates and inducing points of exp(-rate x s) x column, (n,)."""
    found = np.zeros(len(at))
    for start in range(0, len(at), _CHUNK):
        rows = slice(start, start + _CHUNK)
        decay = np.exp(-RATES[0] * _squared(at[rows], points))
        for number, column in enumerate(columns):
            found[rows] += decay @ column
            if number + 1 < len(columns):
                decay *= decay
    return found


def rest_norm(closeness: Values, itself: Values, share: float) -> Values:
    """Return the squared norm of what a stand-in leaves, (rates, ...), one for each rate.

    The stand-in is `share` x the additive one + (1 - share) x the mean over the background. `closeness` (groups, rates,
    ...) is that between a network's settings and the background, `itself` (groups, rates, ...) that of the background
    with itself. The result is linear in each group's closeness.
    """
    groups = len(closeness)
    at_mean, mean = closeness.prod(0), itself.prod(0)
    at_additive = _without_each(closeness).sum(0) - (groups - 1) * at_mean
    singles = (closeness / itself).sum(0) * mean
    shares = closeness / itself
    pairs = (shares.sum(0) ** 2 - (shares**2).sum(0)) * mean
    additive_mean = singles - (groups - 1) * mean
    additive = _without_each(itself).sum(0) + pairs - 2 * (groups - 1) * singles + (groups - 1) ** 2 * mean
    rest = 1 - share
    cross = 2 * share * at_additive + 2 * rest * at_mean
    return np.asarray(1 - cross + share**2 * additive + 2 * share * rest * additive_mean + rest**2 * mean)


def _without_each(values: Values) -> Values:
    """Return the products of all but one group, (groups, ...)."""
    return np.stack([np.delete(values, group, axis=0).prod(0) for group in range(len(values))])
