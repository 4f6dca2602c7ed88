"""Searching with a supernet trained on images: the scoring of `nas search --data`.

A supernet of the space is trained, its networks are scored with shared weights on the search split, and the winner is
extracted and fine-tuned (or trained from scratch), tested once on the test split, and exported. Every part goes on
where it stopped: the trainings from their checkpoints, the search from its journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.evaluators import Evaluator, SupernetEvaluator
from nas.runs.folder import RunFolder
from nas.runs.scoring import NetworkScore, TrainingStage, Watch
from searchspace.architecture import Architecture
from searchspace.errors import UserError
from searchspace.reference import reference, reference_names
from searchspace.space import SearchSpace

if TYPE_CHECKING:
    from nas.data import Data
    from nas.training.checkpoint import Checkpoints
    from nas.training.execution import Execution
    from nas.training.history import Observer
    from nas.training.recipes import Recipe
    from searchspace.modules import Network
    from searchspace.supernet import Supernet

SUPERNET = "supernet.pt"
WINNER = "winner.pt"
EXPORT_CHECK_IMAGES = 256


@dataclass(frozen=True, kw_only=True)
class SupernetSettings:
    """How images decide a search. `mode` and `warm_up` are those of `nas.training.supernet`.

    `epochs` train the supernet, `winner_epochs` the network found: from the supernet's weights, or `from_scratch`.
    `image_size` defaults to the images' own; `subset` keeps that many training images; `batch_size` and
    `learning_rate` replace those of the recipe for the supernet. `start` is the folder of an earlier run whose
    supernet is trained further, for `epochs` that may then be 0; give that run's `seed`, or images it was trained
    on will be among those it is scored with.
    """

    data: str
    image_size: int | None = None
    subset: int | None = None
    mode: str = "sandwich"
    warm_up: float = 0.0
    epochs: int = 15
    winner_epochs: int = 15
    batch_size: int | None = None
    learning_rate: float | None = None
    start: str | None = None
    from_scratch: bool = False
    search_images: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "winner_epochs", "search_images"):
            least = 0 if name == "epochs" and self.start is not None else 1
            if getattr(self, name) < least:
                raise UserError(f"{name.replace('_', ' ')} is {getattr(self, name)}, expected at least {least}")
        if not 0 <= self.warm_up <= 1:
            raise UserError(f"warm-up is {self.warm_up:g}, expected a share of the training from 0 to 1")

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return asdict(self)

    def recipe(self) -> Recipe:
        """Return how the supernet is trained."""
        from nas.training.recipes import short

        recipe = short(self.epochs)
        if self.batch_size is not None:
            recipe = recipe.with_batch_size(self.batch_size)
        return recipe if self.learning_rate is None else replace(recipe, learning_rate=self.learning_rate)


class SupernetScoring:
    """Accuracy on the user's images; see `nas.runs.scoring.Scoring` for what a search asks of it."""

    batch = 10  # a network takes a good part of a second
    trains = True

    def __init__(self, settings: SupernetSettings, data: Data, execution: Execution | None = None) -> None:
        self.settings = settings
        self.data = data
        self.execution = execution
        self._supernet: Supernet | None = None

    def scorable(self, space: SearchSpace) -> SearchSpace:
        """Return the space with as many classes as the data set has: any network can be trained."""
        return space.with_classes(len(self.data.classes))

    def evaluator(self, space: SearchSpace, folder: RunFolder, watch: Watch) -> SupernetEvaluator:
        """Train the supernet, or take up its training, and return what scores with it."""
        settings = self.settings
        with watch.stage(f"Training the supernet on {len(self.data.train):,} images") as report:
            observer = TrainingStage(report, settings.epochs)
            supernet = trained_supernet(space, self.data, settings, folder, self.execution, observer)
        self._supernet = supernet
        facts = {"supernet": f"{settings.mode} training, {settings.epochs} epochs of {len(self.data.train):,} images"}
        return SupernetEvaluator(
            supernet, self.data, seed=settings.seed, search_images=settings.search_images, facts=facts
        )

    def references(self, evaluator: Evaluator) -> tuple[NetworkScore, ...]:
        """Return the reference networks that are members of the space."""
        assert isinstance(evaluator, SupernetEvaluator)
        space = evaluator.supernet.space
        known = {name: reference(name).with_classes(space.spec.classes) for name in reference_names()}
        members = {name: architecture for name, architecture in known.items() if architecture in space}
        return tuple(
            NetworkScore(name, architecture, float(evaluator.top1(space.encode(architecture)[None])[0]))
            for name, architecture in members.items()
        )

    def network(self, winner: Architecture, folder: RunFolder, watch: Watch) -> tuple[Network, bool]:
        """Return the winner trained: from the supernet's weights, or from scratch."""
        import torch

        from nas.training.loop import train
        from nas.training.recipes import short
        from searchspace.modules import build_network
        from searchspace.weights import WEIGHTS_FILE, save_weights

        assert self._supernet is not None
        settings = self.settings
        if settings.from_scratch:
            network = build_network(self._supernet.runs_as(winner), seed=settings.seed)
        else:
            network = self._supernet.extract(winner)
        start = "from scratch" if settings.from_scratch else "from the supernet's weights"
        with watch.stage(f"Training the network found, {start}") as report:
            train(
                network,
                self.data.at_size(network.architecture.resolution),
                short(settings.winner_epochs),
                seed=settings.seed,
                execution=self.execution,
                checkpoints=_checkpoints(folder, WINNER),
                observer=TrainingStage(report, settings.winner_epochs),
                identity={"architecture": str(network.architecture), "start": start},
            )
        network.to(device="cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        save_weights(network, folder.file(WEIGHTS_FILE), data=settings.data, recipe="short")
        return network, True

    def findings(self, network: Network, folder: RunFolder, model: str | None) -> Mapping[str, Any]:
        """Test the trained network, once, and its exported file beside it; return what goes into `result.json`."""
        import numpy as np

        from nas.data import sample
        from nas.export import check_accuracy
        from nas.training.evaluation import evaluate

        tested = self.data.at_size(network.architecture.resolution).test_split()
        accuracy = evaluate(network, tested.batches(256))
        found: dict[str, Any] = {
            "data": self.settings.data,
            "image_size": network.architecture.resolution,
            "runs_as": str(network.architecture),
            "test": asdict(accuracy),
        }
        if model is not None:
            images, labels = sample(tested, EXPORT_CHECK_IMAGES, self.settings.seed)
            check = check_accuracy(network, folder.file(model), images.numpy(), labels.numpy().astype(np.int64))
            found["export_check"] = asdict(check)
        return found


def trained_supernet(
    space: SearchSpace,
    data: Data,
    settings: SupernetSettings,
    folder: RunFolder,
    execution: Execution | None = None,
    observer: Observer | None = None,
) -> Supernet:
    """Return a supernet trained by the settings, on the CPU; goes on from its checkpoint in the folder."""
    from nas.training.supernet import train_supernet
    from searchspace.supernet import Supernet

    supernet = Supernet(space, seed=settings.seed, classes=len(data.classes), image_size=data.image_size)
    if settings.start is not None:
        _take_weights(supernet, Path(settings.start) / SUPERNET)
    if settings.epochs == 0:
        return supernet
    # A continuation sees the images in another order and other crops than the run it starts from.
    training_seed = settings.seed if settings.start is None else settings.seed + 1
    train_supernet(
        supernet,
        data,
        settings.recipe(),
        mode=settings.mode,
        warm_up=settings.warm_up,
        seed=training_seed,
        execution=execution,
        checkpoints=_checkpoints(folder, SUPERNET),
        observer=observer,
    )
    return supernet.cpu()


def _take_weights(supernet: Supernet, path: Path) -> None:
    """Take the shared weights from another run's checkpoint; raises UserError when they are of another supernet."""
    from nas.training.checkpoint import read_state
    from nas.training.supernet import SupernetInTraining

    state = read_state(path)["network"]
    try:
        SupernetInTraining(supernet).load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise UserError(f"{path} holds the supernet of another space or number of classes: {first}") from None


def check_mode(mode: str) -> None:
    """Raise UserError when there is no such way of training a supernet."""
    from nas.training.supernet import MODES, unknown_mode

    if mode not in MODES:
        raise unknown_mode(mode)


def open_scoring(settings: SupernetSettings) -> SupernetScoring:
    """Load the images and return the scoring; raises UserError for whatever is wrong with them or the settings."""
    from nas.data import load_data

    check_mode(settings.mode)
    data = load_data(settings.data, settings.image_size, settings.seed, settings.subset)
    return SupernetScoring(settings, data)


def _checkpoints(folder: RunFolder, name: str) -> Checkpoints:
    from nas.training.checkpoint import Checkpoints

    # A new run's folder holds none, so looking for one to resume is always right.
    return Checkpoints(path=folder.file(name), every_seconds=30, resume=True)
