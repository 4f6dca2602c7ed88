"""Training the supernet of a run in its folder, or taking up the one of an earlier run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from latency_lut.compiled import CompiledCost
from nas.runs.folder import RunFolder
from nas.supernets.settings import DIFFERENTIABLE, SupernetSettings
from searchspace.space import SearchSpace
from searchspace.support.errors import UserError

if TYPE_CHECKING:
    from nas.data import Data
    from nas.objectives import Objective
    from nas.supernets.differentiable import ArchitectureLogits
    from nas.supernets.pretrained import Pretrained
    from nas.training.checkpoint import Checkpoints
    from nas.training.execution import Execution
    from nas.training.history import Observer
    from searchspace.supernet import Started, Supernet

SUPERNET = "supernet.pt"


class TrainedSupernet(NamedTuple):
    """Shared weights and, after differentiable training, the logits of the architecture.

    `started` says how much of a pretrained network the weights started as.
    """

    supernet: Supernet
    logits: ArchitectureLogits | None = None
    started: Started | None = None


def trained_supernet(
    space: SearchSpace,
    data: Data,
    settings: SupernetSettings,
    folder: RunFolder,
    *,
    execution: Execution | None = None,
    observer: Observer | None = None,
    objective: Objective | None = None,
    pretrained: Pretrained | None = None,
) -> TrainedSupernet:
    """Return a supernet trained by the settings, on the device it was trained on; goes on from the folder's checkpoint.

    It starts as the `pretrained` network, which teaches it, where there is one.

    With an `objective` only networks are drawn that its search may evaluate, without one any of the space;
    differentiable training needs one, whose budget it keeps to. Raises as `nas.training.train` does, and
    UserError when the weights to start from are of another supernet.
    """
    from nas.supernets.reuse import identity_of_images, refuse_other_images, take_logits, take_weights
    from nas.training.checkpoint import read_checkpoint
    from nas.training.execution import default_execution
    from searchspace.supernet import Supernet

    execution = execution or default_execution(settings.torch_device)
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
        refuse_other_images(identity, data, settings, started)
        take_weights(supernet, state["network"], started)
        if settings.mode == DIFFERENTIABLE:
            logits = take_logits(supernet.space, identity["space"], state["network"], started)
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
        "images": identity_of_images(data, settings),
    }
    if settings.mode == DIFFERENTIABLE:
        assert objective is not None
        training["start"] = logits
        return TrainedSupernet(supernet, _differentiably(supernet, data, settings, objective, training))
    from nas.supernets.training import train_supernet
    from nas.training.distillation import Teacher
    from searchspace.supernet import start_from

    if objective is not None:
        tables = " and ".join(cost.table.sha256 for cost in compiled_costs(objective))
        near = "" if objective.around is None else "around the network, "
        drawn = f"{near}within {objective.ceiling_ms} ms by the latency table {tables}"
        training |= {"draw": objective.sample, "drawn": drawn}
    start = None
    if pretrained is not None:
        start = start_from(supernet, pretrained.network.architecture, pretrained.network.state_dict())
        if settings.teacher_share:
            teacher = Teacher(execution.prepare(pretrained.network), settings.teacher_share)
            training |= {
                "teacher": teacher,
                "taught": f"taught by {pretrained.origin}, share {settings.teacher_share:g}",
            }
    train_supernet(
        supernet, data, settings.recipe(len(data.train)), mode=settings.mode, warm_up=settings.warm_up, **training
    )
    return TrainedSupernet(supernet, started=start)


def compiled_costs(objective: Objective) -> list[CompiledCost]:
    """Return the compiled tables of an objective's budgets, the first one first."""
    return [limit.cost for limit in objective.limits if isinstance(limit.cost, CompiledCost)]


def checkpoints(folder: RunFolder, name: str) -> Checkpoints:
    """Return where a training of the run keeps its state, and whether it goes on from there."""
    from nas.training.checkpoint import Checkpoints

    # A new run's folder holds none, so looking for one to resume is always right.
    return Checkpoints(path=folder.file(name), every_seconds=30, resume=True)


def _differentiably(
    supernet: Supernet, data: Data, settings: SupernetSettings, objective: Objective, training: dict[str, Any]
) -> ArchitectureLogits:
    from nas.supernets.differentiable import DifferentiableSettings, train_differentiably

    cost, *others = compiled_costs(objective)
    if others:
        raise UserError("differentiable training knows one budget: give one --device, or another --supernet-training")
    how = DifferentiableSettings(target_ms=objective.target_ms())
    return train_differentiably(supernet, data, settings.recipe(len(data.train)), cost, how, **training)
