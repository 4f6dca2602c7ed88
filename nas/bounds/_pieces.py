"""What a predictor says of each unit by itself: features, gains of its linear part and trees, sums for the totals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.bounds._mixture import ERROR, FARTHEST, mixture
from nas.bounds._trees import tree_gains
from nas.bounds._units import Units
from nas.objectives import Values
from nas.predictor import Predictor, Total
from searchspace.choices import Genotypes
from searchspace.space import SearchSpace


@dataclass(frozen=True)
class Pieces:
    """A predictor taken apart; a group is a unit or one of the totals, which are sums over the units.

    `features` (n, its features) and `gains` (n,) are those of each unit's settings, `points` (m, its features) the
    inducing points' of each group, `sums` (totals, n) what each setting adds to the totals. A total has `forms`, itself
    or its logarithm, with `centres` and `widths`. The predicted top-1 is at most `constant` + the gains + `scale` x
    (Matern part + linear part of the totals, `total_slopes`).
    """

    features: tuple[Values, ...]
    gains: tuple[Values, ...]
    points: tuple[Values, ...]
    sums: tuple[Values, ...]
    forms: tuple[tuple[bool, ...], ...]
    centres: tuple[Values, ...]
    widths: tuple[Values, ...]
    total_slopes: tuple[Values, ...]
    weights: Values
    norm: float
    constant: float
    scale: float

    @property
    def groups(self) -> int:
        """Number of units and totals."""
        return len(self.points)

    def total(self, number: int, sums: Values) -> Values:
        """Return the standardised features of a total, (n, features), given its sums over whole networks, (n,)."""
        return _standard(sums, self.forms[number], self.centres[number], self.widths[number])


def _standard(sums: Values, forms: tuple[bool, ...], centre: Values, width: Values) -> Values:
    found: Values = (np.column_stack([np.log(sums) if form else sums for form in forms]) - centre) / width
    return found


def take_apart(predictor: Predictor, space: SearchSpace, units: Units) -> Pieces | None:
    """Return the pieces of a predictor; None where a network may be farther from a point than the mixture holds for."""
    layout, kernel = predictor.layout, predictor.kernel
    owner_of = _unit_of_stages(space, units)
    owned = layout.feature_owners
    owners = [-1 if isinstance(owner, Total) else owner_of.get(owner, 0) for owner in owned]
    columns = [np.flatnonzero(np.array(owners) == number) for number in range(len(units.members))]
    count = len(layout.totals(kernel.points[:1])[0])
    totals = [
        np.array([i for i, one in enumerate(owned) if isinstance(one, Total) and one.number == number])
        for number in range(count)
    ]
    forms = tuple(tuple(owned[i].logarithm for i in own) for own in totals)
    raw = [layout.features(layout.read(space, unit.genotypes)) for unit in units.members]
    scaled = [(one - kernel.centre) / kernel.width for one in raw]
    points = (layout.features(kernel.points) - kernel.centre) / kernel.width
    slopes = points.T @ kernel.weights
    share = predictor.deviation * predictor.share_of_trees
    scale = predictor.deviation - share
    stepped = tree_gains(predictor.booster.dump_model()["tree_info"], owners, raw)
    far = _farthest([scaled[i][:, own] for i, own in enumerate(columns)], [points[:, own] for own in columns])
    sums = [_sums(predictor, space, unit.genotypes, owner_of, number) for number, unit in enumerate(units.members)]
    centres, widths = ([of[own] for own in totals] for of in (kernel.centre, kernel.width))
    for number, own in enumerate(totals):
        ends = np.array([sum(end(one[number]) for one in sums) for end in (np.min, np.max)], dtype=np.float64)
        far += _farthest([_standard(ends, forms[number], centres[number], widths[number])], [points[:, own]])
    if far > FARTHEST:
        return None
    squared = (points**2).sum(1)[:, None] + (points**2).sum(1) - 2 * points @ points.T
    norm = float(kernel.weights @ mixture(np.maximum(squared, 0.0)) @ kernel.weights) ** 0.5
    return Pieces(
        features=tuple(scaled[i][:, own] for i, own in enumerate(columns)),
        gains=tuple(scale * scaled[i][:, own] @ slopes[own] + share * stepped[i] for i, own in enumerate(columns)),
        points=(*(points[:, own] for own in columns), *(points[:, own] for own in totals)),
        sums=tuple(sums),
        forms=forms,
        centres=tuple(centres),
        widths=tuple(widths),
        total_slopes=tuple(slopes[own] for own in totals),
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
    return layout.totals(rows).T


def _farthest(features: list[Values], points: list[Values]) -> float:
    """Return a squared distance that no features in the range of those given have from an inducing point."""
    return sum(
        float((np.maximum(np.abs(p.max(0) - f.min(0)), np.abs(f.max(0) - p.min(0))) ** 2).sum())
        for f, p in zip(features, points, strict=True)
    )
