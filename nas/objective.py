"""What a search is after: the most accurate network whose latency surely fits the budget.

The upper end of the latency interval (`high_ms`) has to stay within the budget. Networks up to a ceiling somewhat
above the budget are evaluated too, so that the Pareto front shows what a little more time would buy; dearer ones are
never evaluated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latency_lut.compiled import Extremes
from searchspace.choices import Genotypes
from searchspace.space import SearchSpace
from searchspace.support.errors import UserError

Values = NDArray[np.float64]

_MS_PER_UNIT = {"ms": 1.0, "s": 1000.0, "us": 0.001, "µs": 0.001}
_BUDGET = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([a-zA-Zµ]*)\s*")
_DRAWS = 32  # uniform draws for one affordable network
_PULLS = 8  # tries to bring an unaffordable network under the ceiling before the fastest one takes its place


def parse_budget(text: str) -> float:
    """Return the milliseconds of a budget such as `60ms` or `0.06s`.

    Raises UserError for anything else, a number without a unit included.
    """
    match = _BUDGET.fullmatch(text)
    if match is None:
        raise UserError(f"budget {text!r} is not a duration: write a number and a unit, such as 60ms or 0.06s")
    number, unit = match.groups()
    if not unit:
        raise UserError(f"budget {text!r} has no unit: write {number}ms, or {number}s for seconds")
    if unit.lower() not in _MS_PER_UNIT:
        raise UserError(f"budget {text!r} has the unknown unit {unit!r}: expected ms, s or us, such as 60ms")
    budget_ms = float(number) * _MS_PER_UNIT[unit.lower()]
    if not 0 < budget_ms < 1e7:
        raise UserError(f"budget {text!r} is {budget_ms:g} ms: expected more than 0 and less than {1e7:g} ms")
    return budget_ms


class Cost(Protocol):
    """Latency of every network of a space; `latency_lut.compiled.CompiledCost` is one.

    Genotypes have shape (n, choices), latencies (n,), in milliseconds.
    """

    space: SearchSpace

    def interval_ms(self, genotypes: Genotypes) -> tuple[Values, Values]:
        """Return the lower and upper ends of the latency intervals."""
        ...

    def latency_ms(self, genotypes: Genotypes) -> Values:
        """Return the predicted latencies."""
        ...

    def extremes(self) -> Extremes:
        """Return the fastest and the slowest network."""
        ...


@dataclass(frozen=True)
class Results:
    """Proposed networks: genotypes (n, choices); top-1 in percent, latency and its upper end in ms, each (n,).

    Top-1 is NaN where a network was priced over the ceiling and so was not evaluated.
    """

    genotypes: Genotypes
    top1: Values
    latency_ms: Values
    high_ms: Values

    def __len__(self) -> int:
        return len(self.genotypes)

    @property
    def evaluated(self) -> Results:
        """Those of the networks that were evaluated."""
        known = ~np.isnan(self.top1)
        if known.all():
            return self
        return Results(self.genotypes[known], self.top1[known], self.latency_ms[known], self.high_ms[known])


class Objective:
    """A budget over the networks of one space on one device.

    `ceiling` says up to how many times the budget networks are evaluated for the front (1: none above it).
    """

    def __init__(self, cost: Cost, budget_ms: float, ceiling: float = 1.5) -> None:
        """Raise UserError, with the possible range, when no network or every network fits the budget."""
        self.cost = cost
        self.space = cost.space
        self.budget_ms = budget_ms
        self.ceiling_ms = max(1.0, ceiling) * budget_ms
        extremes = cost.extremes()
        self.fastest = extremes.fastest
        lowest_ms, highest_ms = cost.interval_ms(np.stack([extremes.fastest, extremes.slowest]))[1]
        place = f"the possible range in the space {self.space.name} is {lowest_ms:.1f} to {highest_ms:.1f} ms"
        if budget_ms < lowest_ms:
            raise UserError(
                f"no network fits a budget of {budget_ms:g} ms: {place} "
                f"(upper ends of the intervals; the fastest network is predicted at {extremes.fastest_ms:.1f} ms)"
            )
        if budget_ms > highest_ms:
            raise UserError(
                f"every network fits a budget of {budget_ms:g} ms, so it decides nothing: {place}; "
                "give a smaller budget or another space"
            )

    def results(self, genotypes: Genotypes, top1: Values) -> Results:
        """Put prices beside accuracies: (n, choices) and (n,) in."""
        return Results(genotypes, top1, self.cost.latency_ms(genotypes), self.high_ms(genotypes))

    def high_ms(self, genotypes: Genotypes) -> Values:
        """Return the upper ends of the latency intervals, shape (n,)."""
        return self.cost.interval_ms(genotypes)[1]

    def target_ms(self) -> float:
        """Return the predicted latency whose interval ends at about the budget: that of a typical network."""
        typical = self.space.sample(np.random.default_rng(0), 256)
        return self.budget_ms * float(np.median(self.cost.latency_ms(typical) / self.high_ms(typical)))

    def affordable(self, genotypes: Genotypes) -> NDArray[np.bool_]:
        """Tell which genotypes may be evaluated, shape (n,)."""
        return np.asarray(self.high_ms(genotypes) <= self.ceiling_ms)

    def sample(self, rng: np.random.Generator, n: int) -> Genotypes:
        """Draw n affordable genotypes, shape (n, choices): of some uniform draws each time the first affordable one.

        Where none of them is, the last is pulled under the ceiling.
        """
        drawn = self.space.sample(rng, n * _DRAWS)
        affordable = self.affordable(drawn).reshape(n, _DRAWS)
        first = np.where(affordable.any(axis=1), affordable.argmax(axis=1), _DRAWS - 1)
        return self.pull(rng, drawn[np.arange(n) * _DRAWS + first])

    def pull(self, rng: np.random.Generator, genotypes: Genotypes) -> Genotypes:
        """Bring unaffordable genotypes under the ceiling, by giving random choices the fastest network's value.

        The share of choices given up grows from try to try and ends with the fastest network itself, so that this
        ends however tight the budget; affordable genotypes stay as they are.
        """
        pulled = np.array(genotypes)
        for attempt in range(1, _PULLS + 1):
            dear = np.flatnonzero(~self.affordable(pulled))
            if not len(dear):
                break
            given_up = rng.random((len(dear), pulled.shape[1])) < (attempt / _PULLS) ** 2
            pulled[dear] = self.space.canonical(np.where(given_up, self.fastest, pulled[dear]))
        return pulled

    def best(self, results: Results) -> int | None:
        """Return the index of the most accurate network within the budget, the faster one of equals; None if none."""
        within = np.flatnonzero(results.high_ms <= self.budget_ms)
        if not len(within):
            return None
        order = np.lexsort((within, results.latency_ms[within], -results.top1[within]))
        return int(within[order[0]])


def absolute_reward(top1: Values, latency_ms: Values, target_ms: float, beta: float) -> Values:
    """Return TuNAS's absolute reward, accuracy + beta x |latency / target - 1|, with accuracy from 0 to 1.

    Bender et al., arXiv 2008.06120; `abs` in search_space_utils.py of google-research/tunas. Beta is negative.
    """
    reward: Values = top1 / 100 + beta * np.abs(latency_ms / target_ms - 1)
    return reward


def pareto_front(results: Results) -> NDArray[np.intp]:
    """Return the indices of the networks that no other one beats in both latency and top-1, fastest first."""
    order = np.lexsort((np.arange(len(results)), -results.top1, results.latency_ms))
    top1 = results.top1[order]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(top1)[:-1]])
    return np.asarray(order[top1 > before])
