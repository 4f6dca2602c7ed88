"""The proven optimum of a score that is a sum over neighbouring choices, within a budget, by HiGHS.

Each choice is a one-hot vector, each factor a distribution over its cells whose marginals are those vectors; whole
numbers make every distribution a single cell, so that sums over factors are linear. The budget is kept by the upper end
of the latency, which is no sum: it is relaxed to a multiple of the latency, and an answer over the budget is cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from latency_lut.slots import Factor
from nas.objectives import Objective, Values
from nas.strategies._local import LocalSearch
from searchspace.choices import Genotypes

_CUTS = 50  # answers over the budget that are cut off before the search for a proof is given up


class ExactSearch(LocalSearch):
    """Proposes what `solve` holds for the best network within the budget, the optimum where the score allows a proof.

    Whoever runs the search sets `solve`, a function of the score and the objective alone, so that a resumed search
    proposes the same. Before and after it, and without it, this is local search.
    """

    name = "exact"
    solve: Callable[[], Genotypes | None] | None = None
    _answer: Genotypes | None = None

    def _propose(self, n: int, rng: np.random.Generator) -> Genotypes:
        proposals = super()._propose(n, rng)
        if self.solve is not None:
            self._answer, self.solve = self.solve(), None
        if self._answer is not None and self._answer.tobytes() not in self._seen:
            proposals[0] = self._answer
        return proposals


@dataclass(frozen=True)
class ExactAnswer:
    """The best network within the budget (None: none met) and a bound that no network within it exceeds."""

    genotype: Genotypes | None
    score: float
    bound: float

    @property
    def proved_optimal(self) -> bool:
        """Whether no network within the budget scores higher."""
        return self.genotype is not None and self.bound <= self.score + 1e-6 * max(1.0, abs(self.score))


def additive_optimum(
    objective: Objective,
    gain: Sequence[Factor],
    latency: Sequence[Factor],
    least_share: float = 1.0,
    overhead_ms: float = 0.0,
) -> ExactAnswer:
    """Maximise the sum of `gain` over the networks whose upper end keeps the budget.

    `latency` are the factors of the predicted latency beside `overhead_ms`; no network's upper end is below
    `least_share` times their sum (for a latency table: 1 + network_interval_pct / 100).
    """
    from scipy.optimize import LinearConstraint

    program = _Program(objective, [*gain, *latency])
    program.objective = program.sums(gain, 0)
    costs = program.sums(latency, len(gain))
    program.constraints.append(LinearConstraint(costs[None], -np.inf, objective.budget_ms / least_share - overhead_ms))
    bound = np.inf
    for _ in range(_CUTS):
        found, bound = program.solve(bound)
        if found is None:
            break
        genotype = objective.space.canonical(found[None])
        if float(objective.high_ms(genotype)[0]) <= objective.budget_ms:
            score = sum(float(factor.values[tuple(genotype[0][list(factor.scope)])]) for factor in gain)
            return ExactAnswer(genotype[0], score, max(bound, score))
        program.cut(found)
    return ExactAnswer(None, -np.inf, bound)


class _Program:
    """The integer program over one-hot choices and the cells of factors."""

    def __init__(self, objective: Objective, factors: Sequence[Factor]) -> None:
        from scipy.optimize import LinearConstraint
        from scipy.sparse import coo_array

        self.radices = objective.space.radices
        self.starts = np.concatenate([[0], np.cumsum(self.radices)])
        ends = np.cumsum([self.starts[-1], *(factor.values.size for factor in factors)])
        self.cells = list(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True))
        self.objective: Values = np.zeros(int(ends[-1]))
        rows: list[int] = []
        columns: list[int] = []
        values: list[float] = []
        right: list[float] = []
        for choice in range(len(self.radices)):
            for column in range(self.starts[choice], self.starts[choice + 1]):
                rows.append(len(right))
                columns.append(column)
                values.append(1.0)
            right.append(1.0)
        for factor, (start, _end) in zip(factors, self.cells, strict=True):
            index = np.indices(factor.values.shape).reshape(len(factor.scope), factor.values.size)
            if not factor.scope:
                rows.append(len(right))
                columns.append(start)
                values.append(1.0)
                right.append(1.0)
            for axis, choice in enumerate(factor.scope):
                for value in range(int(self.radices[choice])):
                    cells = start + np.flatnonzero(index[axis] == value)
                    rows += [len(right)] * (len(cells) + 1)
                    columns += [*cells.tolist(), int(self.starts[choice]) + value]
                    values += [1.0] * len(cells) + [-1.0]
                    right.append(0.0)
        matrix = coo_array((values, (rows, columns)), shape=(len(right), int(ends[-1]))).tocsr()
        self.constraints = [LinearConstraint(matrix, right, right)]

    def sums(self, factors: Sequence[Factor], first: int) -> Values:
        """Return the coefficients, (variables,), of the sum of factors that stand from `first` on."""
        found: Values = np.zeros_like(self.objective)
        for number, factor in enumerate(factors, start=first):
            start, end = self.cells[number]
            found[start:end] = factor.values.ravel()
        return found

    def solve(self, bound: float) -> tuple[Genotypes | None, float]:
        """Return an optimal genotype and the bound proved; no genotype where there is none or time is up."""
        from scipy.optimize import Bounds, milp

        whole = np.zeros(len(self.objective))
        whole[: self.starts[-1]] = 1
        answer = milp(
            -self.objective,
            integrality=whole,
            bounds=Bounds(0, 1),
            constraints=self.constraints,
            options={"time_limit": 10.0, "mip_rel_gap": 0.0},
        )
        if answer.mip_dual_bound is not None and np.isfinite(answer.mip_dual_bound):
            bound = min(bound, -float(answer.mip_dual_bound))
        if answer.x is None:
            return None, bound
        parts = np.split(answer.x[: self.starts[-1]], self.starts[1:-1])
        return np.array([part.argmax() for part in parts], dtype=np.uint8), bound

    def cut(self, genotype: Genotypes) -> None:
        """Exclude one assignment of the choices."""
        from scipy.optimize import LinearConstraint

        row = np.zeros(len(self.objective))
        row[self.starts[:-1] + genotype] = 1
        self.constraints.append(LinearConstraint(row[None], -np.inf, len(self.radices) - 1))
