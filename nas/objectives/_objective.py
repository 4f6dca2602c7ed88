"""What a search is after: the most accurate network whose latency surely fits the budget, or several budgets at once.

The upper end of the latency interval (`high_ms`) has to stay within the budget. Networks up to a ceiling somewhat
above the budget are evaluated too, so that the Pareto front shows what a little more time would buy; those over the
ceiling are never evaluated.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas.objectives._costs import Cost, JointCost
from nas.objectives._metrics import METRICS, Metric, metric
from nas.objectives._results import Results, Values
from nas.objectives._stepping import stepped_down
from searchspace.choices import Genotypes
from searchspace.support.errors import UserError
from searchspace.support.quantities import milliseconds

_REDRAWN = 0.1  # of the kernels, around a network
_LOWEST = 0.95  # of the budget, for what is drawn around a network
_DRAWS = 32  # uniform draws for one affordable network
_PULLS = 8  # tries to bring an unaffordable network under the ceiling before the fastest one takes its place


class Limit(NamedTuple):
    """One budget: the metric, its limit in the metric's unit, and the cost whose upper ends keep it."""

    metric: Metric
    value: float
    cost: Cost

    def used(self, genotypes: Genotypes) -> Values:
        """Return the upper ends that are held against the limit, shape (n,)."""
        return self.cost.interval_ms(genotypes)[1]


class Objective:
    """A budget over the networks of one space on one device.

    `ceiling` says up to how many times the budget networks are evaluated for the front (1: none above it). With
    `around`, a genotype of shape (choices,), networks are drawn as smaller forms of that one, from a little below the
    budget up to the ceiling: uniform draws from the smaller forms of a network are nearly all far too small. `rows`,
    (n, choices), are the only networks that can be evaluated, such as those of a table; None: all can.
    """

    def __init__(
        self,
        cost: Cost,
        budget_ms: float,
        ceiling: float = 1.5,
        around: Genotypes | None = None,
        rows: Genotypes | None = None,
    ) -> None:
        """Raise UserError, with the possible range, when no network is known to fit the budget."""
        self.cost = cost
        self.around = around
        self.rows = rows
        self._known = None if rows is None else frozenset(row.tobytes() for row in rows)
        self.space = cost.space
        self.budget_ms = budget_ms
        self.ceiling_ms = max(1.0, ceiling) * budget_ms
        self._kernels = np.array([choice.path.endswith("kernel") for choice in self.space.choices])
        extremes = cost.extremes()
        ends = np.stack([extremes.fastest, extremes.slowest])
        if rows is not None:
            order = self.high_ms(rows).argsort(kind="stable")
            ends = rows[order[[0, -1]]]
        self.fastest = ends[0]
        lowest_ms, self.highest_ms = map(float, self.high_ms(ends))
        if budget_ms < lowest_ms:
            raise UserError(self._refusal(lowest_ms, float(cost.latency_ms(ends[:1])[0])))

    @property
    def binds(self) -> bool:
        """Whether any network of the space is over the budget; where none is, the budget decides nothing."""
        return self.highest_ms > self.budget_ms

    @property
    def first_cost(self) -> Cost:
        """The cost on the first device, in its own milliseconds."""
        return self.cost.parts[0].cost if isinstance(self.cost, JointCost) else self.cost

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The budgets to keep, the first one `budget_ms`."""
        if isinstance(self.cost, JointCost):
            return tuple(Limit(metric(f"latency_ms@{one.device}"), one.limit_ms, one.cost) for one in self.cost.parts)
        return (Limit(METRICS["latency_ms"], self.budget_ms, self.cost),)

    def _refusal(self, lowest_ms: float, fastest_ms: float) -> str:
        if isinstance(self.cost, JointCost):
            used = ", ".join(
                f"{float(limit.used(self.fastest[None])[0]):.1f} of {limit.value:g} ms on {limit.metric.device}"
                for limit in self.limits
            )
            return f"no network was found that keeps all budgets; the nearest takes {used} (upper ends)"
        return (
            f"no network {'' if self.rows is None else 'of the table '}fits a budget of {self.budget_ms:g} ms: the "
            f"possible range in the space {self.space.name} is "
            f"{milliseconds(lowest_ms)} to {milliseconds(self.highest_ms)} ms "
            f"(upper ends of the intervals; the fastest network is predicted at {milliseconds(fastest_ms)} ms)"
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
        return np.asarray(self.high_ms(genotypes) <= self.ceiling_ms) & self._evaluable(genotypes)

    def within(self, genotypes: Genotypes) -> NDArray[np.bool_]:
        """Tell which genotypes keep the budget and can be evaluated, shape (n,)."""
        return np.asarray(self.high_ms(genotypes) <= self.budget_ms) & self._evaluable(genotypes)

    def _evaluable(self, genotypes: Genotypes) -> NDArray[np.bool_]:
        if self._known is None:
            return np.ones(len(genotypes), dtype=np.bool_)
        return np.array([row.tobytes() in self._known for row in genotypes], dtype=np.bool_)

    def draw(self, rng: np.random.Generator, n: int) -> Genotypes:
        """Draw n genotypes, (n, choices), each network as likely, or each of the `rows`; some may not be affordable."""
        if self.rows is not None:
            return np.array(self.rows[rng.integers(0, len(self.rows), n)])
        return self.space.sample(rng, n)

    def sample(self, rng: np.random.Generator, n: int) -> Genotypes:
        """Draw n affordable genotypes, shape (n, choices): of some uniform draws each time the first affordable one.

        Where none of them is, the last is pulled under the ceiling. Around a network each draw has a limit of its own
        and steps down to it from the network, of which a few kernels are drawn anew.
        """
        if self.around is not None:
            redrawn = self._kernels & (rng.random((n, len(self._kernels))) < _REDRAWN)
            start = self.space.canonical(np.where(redrawn, self.space.sample(rng, n), self.around))
            highest = min(self.ceiling_ms, float(self.high_ms(self.around[None])[0]))
            lowest = min(_LOWEST * self.budget_ms, highest)
            return self._stepped(rng, start, rng.uniform(lowest, highest, n))
        drawn = self.draw(rng, n * _DRAWS)
        affordable = self.affordable(drawn).reshape(n, _DRAWS)
        first = np.where(affordable.any(axis=1), affordable.argmax(axis=1), _DRAWS - 1)
        return self.pull(rng, drawn[np.arange(n) * _DRAWS + first])

    def pull(self, rng: np.random.Generator, genotypes: Genotypes) -> Genotypes:
        """Bring unaffordable genotypes under the ceiling, by giving random choices the fastest network's value.

        The share of choices given up grows from try to try and ends with the fastest network itself, so that this
        ends however tight the budget; affordable genotypes stay as they are. Around a network they step down instead.
        Where only `rows` can be evaluated, the nearest of them takes the place of another network: the one that differs
        in the fewest choices.
        """
        pulled = np.array(genotypes)
        if self.rows is not None:
            return self._nearest(rng, pulled)
        if self.around is not None:
            return self._stepped(rng, genotypes, np.full(len(genotypes), self.ceiling_ms))
        for attempt in range(1, _PULLS + 1):
            over_budget = np.flatnonzero(~self.affordable(pulled))
            if not len(over_budget):
                break
            given_up = rng.random((len(over_budget), pulled.shape[1])) < (attempt / _PULLS) ** 2
            pulled[over_budget] = self.space.canonical(np.where(given_up, self.fastest, pulled[over_budget]))
        return pulled

    def _stepped(self, rng: np.random.Generator, genotypes: Genotypes, limits_ms: Values) -> Genotypes:
        return stepped_down(self.space, genotypes, self.fastest, limits_ms, self.high_ms, rng)

    def _nearest(self, rng: np.random.Generator, genotypes: Genotypes) -> Genotypes:
        assert self.rows is not None
        rows = self.rows[rng.permutation(len(self.rows))]
        rows = rows[self.high_ms(rows) <= self.ceiling_ms]
        for index in np.flatnonzero(~self.affordable(genotypes)):
            genotypes[index] = rows[(rows != genotypes[index]).sum(1).argmin()]
        return genotypes

    def best(self, results: Results) -> int | None:
        """Return the index of the most accurate network within the budget, the faster one of equals; None if none."""
        within = np.flatnonzero(results.high_ms <= self.budget_ms)
        if not len(within):
            return None
        order = np.lexsort((within, results.latency_ms[within], -results.top1[within]))
        return int(within[order[0]])
