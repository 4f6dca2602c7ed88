"""How long a search takes and how good its winner is: shipped strategies against each other and against local search.

    python benchmarks/search_time.py [--device pixel] [--space mobilenetv3] [--budget 45ms --budget 60ms] [--seeds 3]

For each budget: every strategy with the same number of evaluations, the winner's predicted top-1 (mean and range over
seeds) and the seconds of the search, of which the predictor's share is given too. Then hill climbing over all networks
that differ in one or two choices, from the winner of the first evolution (does it find anything better?) and from the
best of random networks.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from nas.evaluators import PredictorEvaluator
from nas.jobs.search.ask_tell import run_search
from nas.jobs.search.journal import Journal
from nas.objectives import Objective, Values
from nas.predictor import covered_part, shipped_predictor
from nas.strategies import make_strategy
from searchspace.choices import Genotypes
from searchspace.space import SearchSpace, load_space
from searchspace.support.quantities import parse_duration_ms


class TimedEvaluator(PredictorEvaluator):
    """The predictor, with the seconds it took."""

    seconds = 0.0

    def top1(self, genotypes: Genotypes) -> Values:
        start = time.perf_counter()
        scores = super().top1(genotypes)
        self.seconds += time.perf_counter() - start
        return scores


@dataclass(frozen=True)
class Outcome:
    """One search: its winner and its time."""

    genotype: Genotypes
    top1: float
    high_ms: float
    seconds: float
    evaluator_seconds: float


def search_once(objective: Objective, strategy: str, seed: int, evaluations: int) -> Outcome:
    evaluator = TimedEvaluator(shipped_predictor(objective.space.name), objective.space)
    start = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        Journal.create(Path(folder) / "journal.jsonl", {}) as journal,
    ):
        chosen = make_strategy(strategy, objective, seed, evaluations)
        winner = run_search(objective, chosen, evaluator, journal, evaluations=evaluations).winner
    genotype = np.array(winner.genotype, dtype=np.uint8)
    return Outcome(genotype, winner.top1, winner.high_ms, time.perf_counter() - start, evaluator.seconds)


def neighbours(space: SearchSpace, genotype: Genotypes) -> Genotypes:
    """Return all networks that differ in one or two choices, shape (n, choices)."""
    changes = [(i, v) for i, radix in enumerate(space.radices) for v in range(radix) if v != genotype[i]]
    at, value = (np.array(column) for column in zip(*changes, strict=True))
    first, second = np.triu_indices(len(changes))
    distinct = (at[first] != at[second]) | (first == second)
    first, second = first[distinct], second[distinct]
    near = np.repeat(genotype[None], len(first), axis=0)
    rows = np.arange(len(first))
    near[rows, at[first]] = value[first]
    near[rows, at[second]] = value[second]
    return np.unique(space.canonical(near), axis=0)


def climb(objective: Objective, evaluator: PredictorEvaluator, genotype: Genotypes) -> tuple[float, int]:
    """Climb to a network that no neighbour within the budget beats; return its top-1 and the evaluations spent."""
    best, spent = float(evaluator.top1(genotype[None])[0]), 0
    while True:
        near = neighbours(objective.space, genotype)
        near = near[objective.high_ms(near) <= objective.budget_ms]
        top1 = evaluator.top1(near)
        spent += len(near)
        if not len(near) or top1.max() <= best:
            return best, spent
        best, genotype = float(top1.max()), near[top1.argmax()]


def random_start(objective: Objective, evaluator: PredictorEvaluator, seed: int) -> Genotypes:
    """Return the best of 2,000 random networks within the budget."""
    rng = np.random.default_rng(seed)
    drawn = objective.pull(rng, objective.space.sample(rng, 2000))
    drawn = np.concatenate([drawn[objective.high_ms(drawn) <= objective.budget_ms], objective.fastest[None]])
    return np.asarray(drawn[evaluator.top1(drawn).argmax()])


def compare(objective: Objective, seeds: int, evaluations: int) -> None:
    print(f"\nbudget {objective.budget_ms:g} ms, {evaluations:,} evaluations")
    evolved = None
    for strategy in ("evolution", "reinforce", "random"):
        outcomes = [search_once(objective, strategy, seed, evaluations) for seed in range(seeds)]
        top1 = [outcome.top1 for outcome in outcomes]
        seconds = statistics.mean(outcome.seconds for outcome in outcomes)
        scoring = statistics.mean(outcome.evaluator_seconds for outcome in outcomes)
        print(
            f"  {strategy:<10} top-1 {statistics.mean(top1):.3f} ({min(top1):.3f} to {max(top1):.3f}) "
            f"in {seconds:.1f} s, {scoring:.1f} s of them in the predictor",
            flush=True,
        )
        if strategy == "evolution":
            evolved = outcomes[0]
    evaluator = PredictorEvaluator(shipped_predictor(objective.space.name), objective.space)
    if evolved is not None:
        best, spent = climb(objective, evaluator, evolved.genotype)
        print(f"  climbing from evolution's winner: {evolved.top1:.4f} -> {best:.4f} ({spent:,} evaluations)")
    climbs = [climb(objective, evaluator, random_start(objective, evaluator, seed)) for seed in range(seeds)]
    best, spent = max(top1 for top1, _ in climbs), sum(count for _, count in climbs)
    print(f"  climbing from {seeds} random networks: best {best:.4f} ({spent:,} evaluations)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="pixel")
    parser.add_argument("--space", default="mobilenetv3")
    parser.add_argument("--budget", action="append", help="such as 60ms; may be repeated")
    parser.add_argument("--evaluations", type=int, default=50_000)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    start = time.perf_counter()
    space = covered_part(load_space(arguments.space))
    cost = CompiledCost(space, load_device(arguments.device))
    shipped_predictor(space.name)
    print(f"space, table and predictor loaded and compiled in {time.perf_counter() - start:.1f} s")
    for budget in arguments.budget or ["45ms", "60ms"]:
        compare(Objective(cost, parse_duration_ms(budget)), arguments.seeds, arguments.evaluations)


if __name__ == "__main__":
    main()
