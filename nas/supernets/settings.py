"""The supernet of a run: how it is trained, and training it in the run's folder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from latency_lut.compiled import CompiledCost
from nas.runs.folder import RunFolder
from nas.training.recipes import Recipe
from nas.training.recipes import supernet as supernet_recipe
from searchspace.space import SearchSpace
from searchspace.support.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from nas.data import Data
    from nas.objectives import Objective
    from nas.supernets.differentiable import ArchitectureLogits
    from nas.training.checkpoint import Checkpoints
    from nas.training.execution import Execution
    from nas.training.history import Observer
    from searchspace.supernet import Supernet

SUPERNET = "supernet.pt"
DIFFERENTIABLE = "differentiable"
# Fewer steps leave the weights of a space as large as `mobile` near their random start.
FEWEST_EPOCHS, FEWEST_STEPS = 10, 400


@dataclass(frozen=True, kw_only=True)
class SupernetSettings:
    """How images decide a search. `mode` is one of `nas.supernets.training.MODES` or `differentiable`.

    `epochs` train the supernet (default: 10, on few images as many as make 400 steps), `winner_epochs` the network
    found: from the supernet's weights, or `from_scratch`. `image_size` defaults to the images' own; `subset` keeps that
    many training images; `batch_size` and `learning_rate` replace those of the recipe for the supernet. `start` is the
    folder of an earlier run whose supernet is trained further, for `epochs` that may then be 0; give that run's `seed`,
    or images it was trained on will be among those it is scored with.
    """

    data: str
    image_size: int | None = None
    subset: int | None = None
    mode: str = "sandwich"
    warm_up: float = 0.0
    kernel_transform: bool = False
    epochs: int | None = None
    winner_epochs: int = 15
    batch_size: int | None = None
    learning_rate: float | None = None
    start: str | None = None
    from_scratch: bool = False
    search_images: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "winner_epochs", "search_images"):
            given, least = getattr(self, name), 0 if name == "epochs" and self.start is not None else 1
            if given is not None and given < least:
                raise UserError(f"{name.replace('_', ' ')} is {given}, expected at least {least}")
        if not 0 <= self.warm_up <= 1:
            raise UserError(f"warm-up is {self.warm_up:g}, expected a share of the training from 0 to 1")
        if self.warm_up and self.mode == DIFFERENTIABLE:
            raise UserError("differentiable training has a warm-up of its own, a quarter of the run: leave it out")

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return asdict(self)

    def epochs_over(self, images: int) -> int:
        """Return the number of passes over so many images."""
        if self.epochs is not None:
            return self.epochs
        batch_size = min(self.batch_size or supernet_recipe().batch_size, images)
        return max(FEWEST_EPOCHS, math.ceil(FEWEST_STEPS / (images // batch_size)))

    def recipe(self, images: int) -> Recipe:
        """Return how the supernet is trained on so many images."""
        recipe = supernet_recipe(self.epochs_over(images))
        if self.batch_size is not None:
            recipe = recipe.with_batch_size(self.batch_size)
        return recipe if self.learning_rate is None else replace(recipe, learning_rate=self.learning_rate)


class TrainedSupernet(NamedTuple):
    """Shared weights and, after differentiable training, the logits of the architecture."""

    supernet: Supernet
    logits: ArchitectureLogits | None = None


def trained_supernet(
    space: SearchSpace,
    data: Data,
    settings: SupernetSettings,
    folder: RunFolder,
    *,
    execution: Execution | None = None,
    observer: Observer | None = None,
    objective: Objective | None = None,
) -> TrainedSupernet:
    """Return a supernet trained by the settings, on the device it was trained on; goes on from the folder's checkpoint.

    With an `objective` only networks are drawn that its search may evaluate, without one any of the space;
    differentiable training needs one, whose budget it heeds. Raises as `nas.training.train` does, and
    UserError when the weights to start from are of another supernet.
    """
    from nas.training.checkpoint import read_checkpoint
    from nas.training.execution import default_execution
    from searchspace.supernet import Supernet

    execution = execution or default_execution()
    supernet = Supernet(
        space,
        seed=settings.seed,
        classes=len(data.classes),
        image_size=data.image_size,
        kernel_transform=settings.kernel_transform,
    )
    started = None if settings.start is None else Path(settings.start) / SUPERNET
    logits = None
    if started is not None:
        identity, state = read_checkpoint(started)
        _take_weights(supernet, state["network"], started)
        if settings.mode == DIFFERENTIABLE:
            logits = _take_logits(supernet.space, identity["space"], state["network"], started)
    if settings.epochs == 0:
        execution.prepare(supernet)
        if settings.mode == DIFFERENTIABLE and logits is None:
            raise UserError(
                f"{started} is of no differentiable training: it holds no learnt architecture, give --epochs"
            )
        return TrainedSupernet(supernet, logits)
    # A continuation sees the images in another order and other crops than the run it starts from.
    training: dict[str, Any] = {
        "seed": settings.seed if started is None else settings.seed + 1,
        "execution": execution,
        "checkpoints": checkpoints(folder, SUPERNET),
        "observer": observer,
    }
    if settings.mode == DIFFERENTIABLE:
        assert objective is not None
        training["start"] = logits
        return TrainedSupernet(supernet, _differentiably(supernet, data, settings, objective, training))
    from nas.supernets.training import train_supernet

    if objective is not None:
        assert isinstance(objective.cost, CompiledCost)
        drawn = f"within {objective.ceiling_ms} ms by the latency table {objective.cost.table.sha256}"
        training |= {"draw": objective.sample, "drawn": drawn}
    train_supernet(
        supernet, data, settings.recipe(len(data.train)), mode=settings.mode, warm_up=settings.warm_up, **training
    )
    return TrainedSupernet(supernet)


def checkpoints(folder: RunFolder, name: str) -> Checkpoints:
    """Return where a training of the run keeps its state, and whether it goes on from there."""
    from nas.training.checkpoint import Checkpoints

    # A new run's folder holds none, so looking for one to resume is always right.
    return Checkpoints(path=folder.file(name), every_seconds=30, resume=True)


def _differentiably(
    supernet: Supernet, data: Data, settings: SupernetSettings, objective: Objective, training: dict[str, Any]
) -> ArchitectureLogits:
    from nas.supernets.differentiable import DifferentiableSettings, train_differentiably

    cost = objective.cost
    assert isinstance(cost, CompiledCost)
    how = DifferentiableSettings(target_ms=objective.target_ms())
    return train_differentiably(supernet, data, settings.recipe(len(data.train)), cost, how, **training)


def _take_weights(supernet: Supernet, network: Mapping[str, Tensor], path: Path) -> None:
    """Take the shared weights of a checkpoint's network; raises UserError when they are of another supernet."""
    try:
        supernet.load_state_dict(_below("supernet.", network))
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise UserError(
            f"{path} holds the supernet of another space or number of classes, or one with other kernel transforms: "
            f"{first}"
        ) from None


def _take_logits(
    space: SearchSpace, learnt_in: str, network: Mapping[str, Tensor], path: Path
) -> ArchitectureLogits | None:
    """Return what a checkpoint's differentiable training learnt, None where it is of another training.

    Raises UserError when it was learnt in another space.
    """
    from nas.supernets.differentiable import ArchitectureLogits

    state = _below("logits.", network)
    if not state:
        return None
    if learnt_in != str(space):
        raise UserError(f"{path} holds an architecture learnt in another space, {learnt_in.splitlines()[0]}")
    logits = ArchitectureLogits(space)
    logits.load_state_dict(state)
    return logits


def _below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the entries of a state whose names start with the prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
