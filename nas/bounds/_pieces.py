"""What a predictor says of each unit by itself: features, gains of its linear part and trees, sums for the totals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.bounds._mixture import ERROR, FARTHEST, mixture
from nas.bounds._trees import tree_gains
from nas.bounds._units import Units
from nas.objectives import Values
from nas.predictor import Predictor
from searchspace.choices import Genotypes
from searchspace.space import SearchSpace


@dataclass(frozen=True)
class Pieces:
    """A predictor taken apart; a group is a unit or one of the totals, which are logarithms of sums over the units.

    `features` (n, its features) and `gains` (n,) are those of each unit's settings, `points` (m, its features) the
    inducing points' of each group, `sums` (totals, n) what each setting adds to the totals. The predicted top-1 is at
    most `constant` + the gains + `scale` x (Matern part + linear part of the totals, `total_slopes`).
    """

    features: tuple[Values, ...]
    gains: tuple[Values, ...]
    points: tuple[Values, ...]
    sums: tuple[Values, ...]
    centres: Values
    widths: Values
    total_slopes: Values
    weights: Values
    norm: float
    constant: float
    scale: float

    @property
    def groups(self) -> int:
        """Number of units and totals."""
        return len(self.points)

    def total(self, number: int, sums: Values) -> Values:
        """Return a total as a standardised feature, given sums over a whole network."""
        found: Values = (np.log(sums) - self.centres[number]) / self.widths[number]
        return found


def take_apart(predictor: Predictor, space: SearchSpace, units: Units) -> Pieces | None:
    """Return the pieces of a predictor; None where its layout does not say how its features come from units."""
    layout, kernel = predictor.layout, predictor.kernel
    if layout.totals is None:
        return None
    owner_of = _unit_of_stages(space, units)
    owners = [-1 if stage is None else owner_of.get(stage, 0) for stage in layout.feature_owners]
    columns = [np.flatnonzero(np.array(owners) == number) for number in range(len(units.members))]
    totals = np.flatnonzero(np.array(owners) == -1)
    raw = [layout.features(layout.read(space, unit.genotypes)) for unit in units.members]
    scaled = [(one - kernel.centre) / kernel.width for one in raw]
    points = (layout.features(kernel.points) - kernel.centre) / kernel.width
    slopes = points.T @ kernel.weights
    share = predictor.deviation * predictor.share_of_trees
    scale = predictor.deviation - share
    stepped = tree_gains(predictor.booster.dump_model()["tree_info"], owners, raw)
    far = _farthest([scaled[i][:, own] for i, own in enumerate(columns)], [points[:, own] for own in columns])
    sums = [_sums(predictor, space, unit.genotypes, owner_of, number) for number, unit in enumerate(units.members)]
    if far + _farthest_totals(sums, totals, kernel.centre, kernel.width, points) > FARTHEST:
        return None
    squared = (points**2).sum(1)[:, None] + (points**2).sum(1) - 2 * points @ points.T
    norm = float(kernel.weights @ mixture(np.maximum(squared, 0.0)) @ kernel.weights) ** 0.5
    return Pieces(
        features=tuple(scaled[i][:, own] for i, own in enumerate(columns)),
        gains=tuple(scale * scaled[i][:, own] @ slopes[own] + share * stepped[i] for i, own in enumerate(columns)),
        points=(*(points[:, own] for own in columns), *(points[:, [own]] for own in totals)),
        sums=tuple(sums),
        centres=kernel.centre[totals],
        widths=kernel.width[totals],
        total_slopes=slopes[totals],
        weights=kernel.weights,
        norm=norm,
        constant=predictor.mean + scale * ERROR * float(np.abs(kernel.weights).sum()) + 1e-4,  # scores are rounded
        scale=scale,
    )


def _unit_of_stages(space: SearchSpace, units: Units) -> dict[str, int]:
    found = {}
    for number, unit in enumerate(units.members):
        for choice in unit.choices:
            found[space.choices[choice].path.split("/")[0]] = number
    return found


def _sums(
    predictor: Predictor, space: SearchSpace, genotypes: Genotypes, owner_of: dict[str, int], number: int
) -> Values:
    """Return what each setting of a unit adds to the totals, (totals, n); stages without choices count to unit 0."""
    layout = predictor.layout
    rows = layout.read(space, genotypes).copy()
    others = [i for i, column in enumerate(layout.columns) if owner_of.get(column.stage, 0) != number]
    rows[:, others] = 0
    assert layout.totals is not None
    return layout.totals(rows).T


def _farthest(features: list[Values], points: list[Values]) -> float:
    """Return a squared distance that no network has from an inducing point, without the totals."""
    return sum(
        float((np.maximum(np.abs(p.max(0) - f.min(0)), np.abs(f.max(0) - p.min(0))) ** 2).sum())
        for f, p in zip(features, points, strict=True)
    )


def _farthest_totals(
    sums: list[Values], totals: NDArray[np.intp], centre: Values, width: Values, points: Values
) -> float:
    low, high = sum(one.min(1) for one in sums), sum(one.max(1) for one in sums)
    ends = [(np.log(end) - centre[totals]) / width[totals] for end in (low, high)]
    return float(sum((np.abs(end - points[:, totals]).max(0) ** 2).sum() for end in ends))
