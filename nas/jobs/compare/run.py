"""Run every strategy with every seed on one problem, and say how far each is from the best, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.jobs.compare.journal import Trace, Traces
from nas.jobs.compare.problem import Problem
from nas.jobs.compare.settings import DEFAULT_STRATEGIES, CompareSettings
from nas.objectives import Values, hypervolume
from nas.strategies import RandomSearch, Strategy, make_strategy, read_options, typed
from searchspace.choices import Genotypes
from searchspace.support.errors import UserError

_FRUITLESS = 50  # questions in a row without a new network before a strategy is taken to have ended
RANDOM = "random"


class RandomRows(RandomSearch):
    """Draws the networks of a table that were not drawn before, each as likely."""

    def __init__(self, problem: Problem, seed: int) -> None:
        super().__init__(problem.objective, seed)
        assert problem.rows is not None
        self._order = np.random.default_rng(seed).permutation(len(problem.rows.top1))
        self._rows = problem.rows.genotypes

    def _propose(self, n: int, rng: np.random.Generator) -> Genotypes:
        return self._rows[self._order[(self._told + np.arange(n)) % len(self._order)]]


@dataclass(frozen=True)
class Comparison:
    """All traces by strategy, one for each seed; `skipped` says why a strategy was left out."""

    traces: Mapping[str, Sequence[Trace]]
    skipped: Mapping[str, str]


def compare_strategies(
    settings: CompareSettings,
    problem: Problem,
    progress: Callable[[str, int, int], None] = lambda name, done, of: None,
    finished: Traces | None = None,
) -> Comparison:
    """Run all that are not `finished`; a default strategy not made for so many evaluations is left out, and said to be.

    Raises UserError for a strategy that was named and cannot be made, and an option that none of them has.
    """
    traces: dict[str, list[Trace]] = {}
    skipped: dict[str, str] = {}
    names = settings.strategies or DEFAULT_STRATEGIES
    if settings.strategy_options:
        _require_taken(settings, problem, names)
    finished = Traces() if finished is None else finished
    for number, name in enumerate(names):
        for seed in range(settings.seeds):
            progress(f"{name}, seed {seed}", number * settings.seeds + seed, len(names) * settings.seeds)
            try:
                strategy = _made(name, problem, seed, settings)
            except UserError as error:
                if settings.strategies:
                    raise
                skipped[name] = str(error)
                break
            trace = finished.get(name, seed)
            if trace is None:
                trace = run_strategy(strategy, problem, settings.evaluations)
                finished.add(name, seed, trace)
            traces.setdefault(name, []).append(trace)
    progress("compared", len(names) * settings.seeds, len(names) * settings.seeds)
    return Comparison(traces, skipped)


def _made(name: str, problem: Problem, seed: int, settings: CompareSettings) -> Strategy:
    """Return a strategy with those of the options given that it has."""
    if name == RANDOM and problem.rows is not None:
        return RandomRows(problem, seed)
    made = make_strategy(name, problem.objective, seed, settings.evaluations)
    has = made.choosable
    mine = {key: value for key, value in read_options(settings.strategy_options).items() if key in has}
    return made.with_settings(typed(name, mine, has)) if mine else made


def _require_taken(settings: CompareSettings, problem: Problem, names: Sequence[str]) -> None:
    """Raise UserError for an option that none of the strategies has, naming the settings of each."""
    known: dict[str, Sequence[str]] = {}
    for name in names:
        with suppress(UserError):  # it is left out, or refused in its turn
            known[name] = tuple(make_strategy(name, problem.objective, 0, settings.evaluations).choosable)
    for key in read_options(settings.strategy_options):
        if not any(key in has for has in known.values()):
            each = "; ".join(f"{name} has {', '.join(has) or 'none'}" for name, has in known.items())
            raise UserError(f"no strategy compared has the setting {key[:40]!r}: {each}")


def run_strategy(strategy: Strategy, problem: Problem, evaluations: int) -> Trace:
    """Search until that many distinct networks were evaluated, or nothing new comes any more.

    Repeats are told with their accuracy and networks off the table without one; neither counts as an evaluation.
    """
    objective = problem.objective
    found: dict[bytes, tuple[float, float, float]] = {}
    fruitless = 0
    while len(found) < evaluations and fruitless < _FRUITLESS:
        before = len(found)
        proposals = strategy.ask(min(strategy.batch or max(evaluations // 10, 1), evaluations - before))
        top1 = np.full(len(proposals), np.nan)
        affordable = objective.affordable(proposals)
        top1[affordable] = problem.lookup(proposals[affordable])
        results = objective.results(proposals, top1)
        strategy.tell(results)
        known = results.evaluated
        for row, *figures in zip(known.genotypes, known.latency_ms, known.high_ms, known.top1, strict=True):
            found.setdefault(row.tobytes(), (float(figures[0]), float(figures[1]), float(figures[2])))
        fruitless = fruitless + 1 if len(found) == before else 0
    if not found:
        raise UserError(f"the strategy {strategy.name} proposed no network that has an accuracy, {_FRUITLESS} times")
    cost, high, top1 = np.array(list(found.values())).T
    return Trace(cost, high, top1)


def interval(values: Values, lowest: float = -np.inf) -> list[float] | None:
    """Return the 95 % confidence interval of the mean, by Student's t, cut off at `lowest`; None for one value."""
    from scipy.stats import t

    if len(values) < 2:
        return None
    half = float(t.ppf(0.975, len(values) - 1)) * float(values.std(ddof=1)) / len(values) ** 0.5
    return [max(float(values.mean()) - half, lowest), float(values.mean()) + half]


def summarise(settings: CompareSettings, problem: Problem, comparison: Comparison) -> dict[str, Any]:
    """Return the content of `result.json`."""
    objective, rows = problem.objective, problem.rows
    if rows is None:
        best = max(float(t.best(objective.budget_ms).max()) for ts in comparison.traces.values() for t in ts)
        against = "the best that any strategy found here; the true best is not known"
    else:
        within = objective.high_ms(rows.genotypes) <= objective.budget_ms
        best = float(rows.top1[within].max())
        against = "the best row of the table, by the mean over its seeds"
    regrets = {
        name: np.array([best - t.best(objective.budget_ms)[-1] for t in traces])
        for name, traces in comparison.traces.items()
    }
    found = {
        name: _summary(problem, traces, regrets[name], best) | _beside_random(name, regrets)
        for name, traces in comparison.traces.items()
    }
    return {
        "space": settings.space,
        "networks": None if rows is None else {"table": len(rows.top1), "space": rows.space.count()},
        "truth": problem.truth,
        "evaluations": settings.evaluations,
        "seeds": settings.seeds,
        "budget": None if settings.budget_ms is None else settings.budget_ms,
        "best_top1": best,
        "regret_against": against,
        "hypervolume_reference": {"cost": problem.reference[0], "top1": problem.reference[1], "unit": problem.unit},
        "strategies": found,
        "left_out": dict(comparison.skipped),
    }


def _summary(problem: Problem, traces: Sequence[Trace], regret: Values, best: float) -> dict[str, Any]:
    reference = problem.reference[::-1]
    volumes = np.array([hypervolume(t.top1, t.cost, reference) for t in traces])
    return {
        "regret_mean": float(regret.mean()),
        "regret_ci": interval(regret, lowest=0.0),
        "hypervolume_mean": float(volumes.mean()),
        "hypervolume_ci": interval(volumes),
        "evaluations": float(np.mean([len(t.top1) for t in traces])),
        "rank_mean": _rank(problem, regret, best),
        "over_time": {
            str(count): _after(problem, traces, best, count) for count in checkpoints(max(len(t.top1) for t in traces))
        },
    }


def _after(problem: Problem, traces: Sequence[Trace], best: float, count: int) -> dict[str, float | None]:
    """Return the means after so many evaluations."""
    regret = np.array([_finite(best - t.best(problem.objective.budget_ms), count) for t in traces])
    volumes = [hypervolume(t.top1[:count], t.cost[:count], problem.reference[::-1]) for t in traces]
    return {
        "regret_mean": float(regret.mean()),
        "hypervolume_mean": float(np.mean(volumes)),
        "rank_mean": _rank(problem, regret, best),
    }


def _rank(problem: Problem, regret: Values, best: float) -> float | None:
    """Return the mean rank, 1 the first, among the rows of the table; None where there is none."""
    if problem.rows is None:
        return None
    return float(np.mean([(problem.rows.top1 > best - one + 1e-9).sum() + 1 for one in regret]))


def _finite(regret: Values, count: int) -> float:
    """Return the regret after so many evaluations; before anything within the budget, that of nothing at all."""
    value = float(regret[min(count, len(regret)) - 1])
    return value if np.isfinite(value) else 100.0


def checkpoints(evaluations: int) -> list[int]:
    """Return numbers of evaluations at which curves are drawn: ten, the last, and some between."""
    spaced = np.geomspace(min(10, evaluations), evaluations, 25)
    return sorted({round(float(value)) for value in spaced})


def _beside_random(name: str, regrets: Mapping[str, Values]) -> dict[str, float | None]:
    """Return the one-sided p-values (Mann-Whitney) of being better and of being worse than random search."""
    from scipy.stats import mannwhitneyu

    drawn = regrets.get(RANDOM)
    if drawn is None or name == RANDOM or len(drawn) < 2:
        return {"p_better_than_random": None, "p_worse_than_random": None}
    return {
        "p_better_than_random": float(mannwhitneyu(regrets[name], drawn, alternative="less").pvalue),
        "p_worse_than_random": float(mannwhitneyu(regrets[name], drawn, alternative="greater").pvalue),
    }
