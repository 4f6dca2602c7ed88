"""A search from Python in one call: `nas.search(60, device="pixel")`.

The command line does the same and writes a folder; here the result is a value. Everything that is named on the command
line can be an object: a space, a latency table, a strategy, and whatever says how accurate a network is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from latency_lut.table import LatencyTable
from nas.evaluators import Evaluator
from nas.jobs.search.ask_tell import run_search
from nas.jobs.search.found import FoundNetwork, Progress, SearchResult
from nas.jobs.search.header import search_header
from nas.jobs.search.journal import Journal
from nas.jobs.search.scoring import PredictedScoring, Watch
from nas.objectives import Objective, Values
from nas.runs import RunFolder
from nas.strategies import Strategy, make_strategy
from searchspace.architecture import Architecture
from searchspace.choices import Genotypes
from searchspace.space import SearchSpace, load_space, staged
from searchspace.support.errors import UserError
from searchspace.support.quantities import milliseconds

ScoreNetworks = Callable[[Sequence[Architecture]], Sequence[float]]
MakeStrategy = Callable[[Objective, int], Strategy]


@dataclass(frozen=True)
class FunctionEvaluator:
    """An evaluator made of a function: architectures in, their top-1 in percent out, in the same order."""

    space: SearchSpace
    function: ScoreNetworks

    @property
    def label(self) -> str:
        """The name of the function."""
        return getattr(self.function, "__qualname__", type(self.function).__name__)

    @property
    def fingerprint(self) -> str:
        """The name of the function, which is all that can be told of it."""
        return self.label

    @property
    def basis(self) -> Mapping[str, str]:
        """Nothing is known of how far to trust it."""
        return {}

    def top1(self, genotypes: Genotypes) -> Values:
        """Return top-1 in percent, shape (n,), of genotypes (n, choices)."""
        return np.asarray(self.function([self.space.decode(row) for row in genotypes]), dtype=np.float64)


@dataclass(frozen=True, repr=False)
class Found:
    """What a search found: the winner, the front around it, fastest first, and what it was asked for."""

    result: SearchResult
    budget_ms: float
    device: str
    accuracy: str

    @property
    def winner(self) -> FoundNetwork:
        """The most accurate network within the budget; its `architecture` is what every other function takes."""
        return self.result.winner

    @property
    def front(self) -> tuple[FoundNetwork, ...]:
        """The most accurate network up to each latency, fastest first."""
        return self.result.front

    def __repr__(self) -> str:
        best = self.winner
        return (
            f"{best.top1:.2f} % ({self.accuracy}), {milliseconds(best.latency_ms)} ms on {self.device} "
            f"({milliseconds(best.low_ms)} to {milliseconds(best.high_ms)}), budget {self.budget_ms:g} ms; "
            f"{self.result.evaluations:,} networks evaluated, {len(self.front)} on the front"
        )


def search(
    budget_ms: float,
    *,
    device: str | Path | LatencyTable = "pixel",
    space: str | Path | SearchSpace = "mobilenetv3",
    evaluator: Evaluator | ScoreNetworks | None = None,
    strategy: str | MakeStrategy = "evolution",
    evaluations: int = 50_000,
    seed: int = 0,
    journal: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Found:
    """Find the most accurate network whose latency, upper end of the interval, is within `budget_ms` milliseconds.

    `evaluator` scores networks: an `Evaluator`, a function from architectures to top-1 in percent, or None for the
    accuracy predictor of the space. `strategy` is a name, or what makes one from (objective, seed): a `Strategy`
    subclass, for instance. With `journal`, a file, an interrupted search goes on from it. The same seed gives the same
    result. Raises UserError for whatever cannot be, and when nothing within the budget was found.
    """
    table = device if isinstance(device, LatencyTable) else load_device(device)
    searched = space if isinstance(space, SearchSpace) else load_space(space)
    scoring = PredictedScoring(seed)
    if evaluator is None:
        searched = scoring.scorable(searched)
    objective = Objective(CompiledCost(searched, table), budget_ms)
    scores = _evaluator(evaluator, objective, scoring)
    chosen = (
        make_strategy(strategy, objective, seed, evaluations)
        if isinstance(strategy, str)
        else strategy(objective, seed)
    )
    if not isinstance(chosen, Strategy):
        raise UserError(f"strategy made a {type(chosen).__name__}, expected a nas.strategies.Strategy")
    header = search_header(objective, chosen, scores, table, evaluations=evaluations, batch=scoring.batch)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(journal) if journal is not None else Path(temporary) / "journal.jsonl"
        with Journal.resume(path, header) if path.exists() else Journal.create(path, header) as opened:
            result = run_search(
                objective, chosen, scores, opened, evaluations=evaluations, batch=scoring.batch, progress=progress
            )
    return Found(result, budget_ms, table.provenance.device, scores.label)


def _evaluator(
    evaluator: Evaluator | ScoreNetworks | None, objective: Objective, scoring: PredictedScoring
) -> Evaluator:
    if evaluator is None:
        return scoring.evaluator(objective, RunFolder(Path()), Watch())
    if callable(evaluator):
        return FunctionEvaluator(staged(objective.space), evaluator)
    if not hasattr(evaluator, "top1"):
        raise UserError(f"evaluator is a {type(evaluator).__name__}, expected an Evaluator or a function")
    return evaluator
