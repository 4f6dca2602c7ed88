"""An estimate of the best network within the budget: steepest ascent over whole units, from the best networks known."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from nas.bounds._units import Units
from nas.evaluators import PredictorEvaluator
from nas.objectives import Objective, Values
from searchspace.choices import Genotypes

_SWEEPS = 8
_SCORED = 300  # pairs of settings that are scored, those with the largest sums of single gains


class _Neighbours:
    """Networks that differ from one in a single unit, (n, choices), each scored when it is first asked for."""

    def __init__(self, evaluator: PredictorEvaluator, candidates: Genotypes) -> None:
        self.evaluator = evaluator
        self.candidates = candidates
        self._gains = np.full(len(candidates), np.nan)

    def gains(self, rows: NDArray[np.intp] | slice) -> Values:
        """Return the scores of some of them."""
        missing = np.arange(len(self.candidates))[rows]
        missing = missing[np.isnan(self._gains[missing])]
        if len(missing):
            self._gains[missing] = self.evaluator.top1(self.candidates[missing])
        return self._gains[rows]


class Ascent:
    """Changes one unit or two at a time to what scores best within the budget, until nothing does."""

    def __init__(self, evaluator: PredictorEvaluator, objective: Objective, units: Units) -> None:
        self.evaluator = evaluator
        self.objective = objective
        self.units = units

    def run(self, genotype: Genotypes) -> tuple[Genotypes, float]:
        """Return the network reached from one that keeps the budget, (choices,), and its score."""
        best, score = genotype, float(self.evaluator.top1(genotype[None])[0])
        known: list[_Neighbours | None] = [None] * len(self.units.members)
        for _ in range(_SWEEPS):
            before = score
            singles = []
            for number in range(len(self.units.members)):
                candidates, had = self._exchanged(best, number), known[number]
                if had is None or not np.array_equal(had.candidates, candidates):
                    known[number] = had = _Neighbours(self.evaluator, candidates)
                singles.append(had)
                within = self._within(candidates)
                if len(within):
                    gains = had.gains(within)
                    top = int(gains.argmax())
                    if gains[top] > score:
                        best, score = candidates[within[top]], float(gains[top])
            if score > before:
                continue
            for first, second in combinations(range(len(singles)), 2):
                best, score = self._better(*self._paired(singles, first, second), best, score)
            if score <= before:
                break
        return best, score

    def _exchanged(self, genotype: Genotypes, number: int) -> Genotypes:
        unit = self.units.members[number]
        found = np.repeat(genotype[None], len(unit.genotypes), axis=0)
        found[:, list(unit.choices)] = unit.genotypes[:, list(unit.choices)]
        return found

    def _within(self, candidates: Genotypes) -> NDArray[np.intp]:
        return np.flatnonzero(self.objective.high_ms(candidates) <= self.objective.budget_ms)

    def _paired(self, singles: list[_Neighbours], first: int, second: int) -> tuple[Genotypes, Values]:
        """Return networks that differ in two units, the settings good for their cost, with the sum of single gains."""
        a, b = singles[first], singles[second]
        gain_a, gain_b = a.gains(slice(None)), b.gains(slice(None))
        kept_a, kept_b = self._worthwhile(gain_a, first), self._worthwhile(gain_b, second)
        i, j = (grid.ravel() for grid in np.meshgrid(kept_a, kept_b, indexing="ij"))
        pairs = a.candidates[i].copy()
        own = list(self.units.members[second].choices)
        pairs[:, own] = b.candidates[j][:, own]
        return pairs, gain_a[i] + gain_b[j]

    def _worthwhile(self, gains: Values, number: int) -> NDArray[np.intp]:
        """Return the settings of a unit that no cheaper one beats."""
        order = np.lexsort((-gains, self.units.members[number].cost_ms))
        ahead = np.maximum.accumulate(np.concatenate([[-np.inf], gains[order][:-1]]))
        return np.asarray(order[gains[order] > ahead])

    def _better(self, candidates: Genotypes, gains: Values, best: Genotypes, score: float) -> tuple[Genotypes, float]:
        within = self._within(candidates)
        chosen = within[np.argsort(-gains[within], kind="stable")[:_SCORED]]
        if not len(chosen):
            return best, score
        found = self.evaluator.top1(candidates[chosen])
        top = int(found.argmax())
        return (candidates[chosen[top]], float(found[top])) if found[top] > score else (best, score)


def estimate(
    evaluator: PredictorEvaluator, objective: Objective, units: Units, known: Genotypes
) -> tuple[Genotypes, float]:
    """Return the best network that ascents from known ones, (n, choices), reach, and its predicted top-1."""
    ascent = Ascent(evaluator, objective, units)
    starts = [row for row in known if objective.high_ms(row[None])[0] <= objective.budget_ms]
    if not starts:
        starts = [objective.fastest]
    return max((ascent.run(row) for row in starts), key=lambda found: found[1])
