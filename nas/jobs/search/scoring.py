"""Where the accuracies of a search come from: known ImageNet accuracies, or a supernet trained on images.

A search run asks its scoring for four things, in this order: which part of the space can be scored, an evaluator, what
reference networks score, and the winner as a network to export.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nas.evaluators import Evaluator, PredictorEvaluator
from nas.export import ExportRecord, export_network
from nas.jobs.search.found import FoundNetwork, Progress
from nas.jobs.search.settings import PARALLEL
from nas.objectives import Objective
from nas.predictor import covered_part, score_network, shipped_predictor
from nas.runs.folder import RunFolder
from nas.strategies import Learnt
from searchspace.architecture import Architecture
from searchspace.choices import Genotypes
from searchspace.reference import reference, reference_names
from searchspace.space import SearchSpace, staged
from searchspace.support.errors import UserError

if TYPE_CHECKING:
    from nas.export import Usage
    from nas.training.history import EpochRecord, Observer
    from searchspace.modules import Network

Report = Callable[[float, float], None]


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What is told while a run works: `progress` after every batch of the search, `stage` around each other step.

    Inside a stage, what it gave can be told how far the step is, as (done, total).
    """

    progress: Callable[[Progress], None] = lambda progress: None
    stage: Callable[[str], AbstractContextManager[Report]] = lambda name: nullcontext(lambda done, total: None)


@dataclass(frozen=True)
class TrainingStage:
    """Watches a training of `epochs` epochs (`nas.training.history.Observer`) for a stage and for others."""

    report: Report
    epochs: int
    others: tuple[Observer, ...] = ()

    def step_done(self, epoch: int, step: int, steps: int, images: int) -> None:
        """Report the epochs done so far, in parts."""
        self.report(epoch - 1 + step / steps, self.epochs)
        for other in self.others:
            other.step_done(epoch, step, steps, images)

    def epoch_done(self, record: EpochRecord) -> None:
        """Report the epoch."""
        self.report(record.epoch, self.epochs)
        for other in self.others:
            other.epoch_done(record)


class NetworkScore(NamedTuple):
    """Top-1 in percent of a named network; `note` says where a slightly different network was scored."""

    name: str
    architecture: Architecture
    top1: float
    note: str = ""


class Scoring(Protocol):
    """Where the accuracies of one search come from."""

    def scorable(self, space: SearchSpace) -> SearchSpace:
        """Return the part of a space whose networks can be scored; raises UserError where there is none."""
        ...

    @property
    def learnt(self) -> Learnt | None:
        """What gives, once there is an evaluator, the distribution over networks that its making learnt, if any."""
        ...

    def evaluator(self, objective: Objective, folder: RunFolder, watch: Watch) -> Evaluator:
        """Return what scores the networks of the objective's space, after whatever work that takes."""
        ...

    def keep_front(self, front: Sequence[FoundNetwork], folder: RunFolder, watch: Watch) -> None:
        """Write the weights of the front's networks into the folder, where they have any."""
        ...

    def references(self, evaluator: Evaluator) -> tuple[NetworkScore, ...]:
        """Return the reference networks that can stand beside the winner."""
        ...

    def network(self, winner: FoundNetwork, folder: RunFolder, watch: Watch) -> tuple[Network, bool]:
        """Return the winner for export, and whether its weights are trained."""
        ...

    def export(self, network: Network, path: Path, precision: str, usage: Usage, seed: int) -> ExportRecord:
        """Write the winner as a TFLite file; raises UserError where that cannot be done."""
        ...

    def usage(self, network: Network) -> Usage:
        """Return how the winner is used: preparation of images, labels, origin of the weights."""
        ...

    def findings(self, network: Network) -> Mapping[str, Any]:
        """Return what was found out about a trained winner and its exported file, for `result.json`."""
        ...

    @property
    def batch(self) -> int:
        """How many networks are scored between two entries of the journal."""
        ...

    @property
    def trains(self) -> bool:
        """Whether the winner is trained."""
        ...

    @property
    def slow(self) -> bool:
        """Whether a score takes torch and long enough for a task of its own."""
        ...

    @property
    def rows(self) -> Genotypes | None:
        """The only networks that can be scored, (n, choices), where not all of the space can."""
        ...


@dataclass(frozen=True)
class PredictedScoring:
    """ImageNet top-1 from the shipped predictors; `seed` draws the winner's untrained weights."""

    seed: int = 0
    batch: int = PARALLEL
    trains: bool = False
    slow: bool = False
    learnt: None = None

    @property
    def rows(self) -> Genotypes | None:
        """None: every network of the covered part can be scored."""
        return None

    def scorable(self, space: SearchSpace) -> SearchSpace:
        """Return the part of the space that a table of accuracies covers."""
        return covered_part(space)

    def evaluator(self, objective: Objective, folder: RunFolder, watch: Watch) -> PredictorEvaluator:
        """Return the shipped predictor of the space."""
        return PredictorEvaluator(shipped_predictor(objective.space.name), staged(objective.space))

    def keep_front(self, front: Sequence[FoundNetwork], folder: RunFolder, watch: Watch) -> None:
        """Write nothing: no weights are known."""

    def references(self, evaluator: Evaluator) -> tuple[NetworkScore, ...]:
        """Return the reference networks that are in the predictor's space but for hidden widths."""
        assert isinstance(evaluator, PredictorEvaluator)
        found = []
        for name in reference_names():
            try:
                score = score_network(evaluator.predictor, reference(name))
            except UserError:
                continue  # not of this space
            note = f"scored as its nearest neighbour in the space: {'; '.join(score.differences)}"
            found.append(NetworkScore(name, reference(name), score.top1, "" if score.exact else note))
        return tuple(found)

    def network(self, winner: FoundNetwork, folder: RunFolder, watch: Watch) -> tuple[Network, bool]:
        """Return the winner with random weights."""
        from searchspace.modules import build_network

        return build_network(winner.architecture, seed=self.seed), False

    def export(self, network: Network, path: Path, precision: str, usage: Usage, seed: int) -> ExportRecord:
        """Write the winner with its random weights; int8 ranges come from noise."""
        return export_network(network, path, trained=False, precision=precision, usage=usage, seed=seed)

    def usage(self, network: Network) -> Usage:
        """Return that nothing is known yet."""
        from nas.export import Usage

        return Usage(origin=f"random numbers, seed {self.seed}")

    def findings(self, network: Network) -> Mapping[str, Any]:
        """Return nothing: random weights classify nothing."""
        return {}
