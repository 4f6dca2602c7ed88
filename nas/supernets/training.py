"""Training a supernet on the networks that a mode (`nas.supernets.modes`) lists for each step.

The loop, the checkpoints and the recipes are those of single networks (`nas.training.loop`). A step is a function of
seed and step number, so a resumed run continues exactly. Gradients of the passes of a step add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.data import Batch, Data, sample
from nas.supernets.modes import Draw, Mode, find_mode
from nas.supernets.settings import SupernetSettings
from nas.training.checkpoint import Checkpoints
from nas.training.distillation import Teacher
from nas.training.evaluation import Accuracy, Evaluation, evaluate
from nas.training.execution import Execution
from nas.training.history import History, Observer
from nas.training.loop import train
from nas.training.optimizers import clip_gradients
from nas.training.recipes import Recipe
from nas.training.step import TakeStep
from searchspace.choices import Genotypes
from searchspace.modules import Network
from searchspace.supernet import Supernet, recalibrate, resized

WATCHED_NETWORKS = 3  # evaluated after each epoch, to see that training gets somewhere
CALIBRATION_IMAGES = 512
TYPICAL_NETWORKS = 9


class SupernetInTraining(nn.Module):
    """A supernet with the number of steps it has taken, which is saved with its weights.

    `sample` draws the networks that are trained where the training itself decides that.
    """

    steps_taken: Tensor
    sample: Draw | None = None

    def __init__(self, supernet: Supernet) -> None:
        super().__init__()
        self.supernet = supernet
        self.register_buffer("steps_taken", torch.zeros((), dtype=torch.int64))

    @property
    def madds(self) -> float:
        """Multiply-adds of a forward pass of one image through a typical network of the space: the median of a few."""
        drawn = self.supernet.space.sample(np.random.default_rng(0), TYPICAL_NETWORKS)
        return float(np.median([self.supernet.runs_as(genotype).madds for genotype in drawn]))

    def forward(self, images: Tensor, genotype: Genotypes) -> Tensor:
        """Map images (batch, 3, size, size) to the logits of one network: what a wrapper of this module calls."""
        outputs: Tensor = self.supernet(images, genotype)
        return outputs


InTraining = TypeVar("InTraining", bound=SupernetInTraining)


def in_training(network: nn.Module, kind: type[InTraining]) -> InTraining:
    """Return the supernet in training that a compiled or replicated module wraps, or that `network` is."""
    while not isinstance(network, kind):
        inner = getattr(network, "_orig_mod", getattr(network, "module", None))
        if not isinstance(inner, nn.Module):
            raise TypeError(f"expected a {kind.__name__}, not a {type(network).__name__}")
        network = inner
    return network


def steps_of(mode: Mode, *, seed: int, total_steps: int, teacher: Teacher | None = None) -> TakeStep:
    """Return the step of the training loop that trains a `SupernetInTraining` in a mode.

    All passes learn from the `teacher` where there is one, none then from the step's first pass.
    """

    def take_step(
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        batch: Batch,
        execution: Execution,
        *,
        label_smoothing: float = 0.0,
        clip_norm: float | None = None,
    ) -> tuple[Tensor, Tensor]:
        inner = in_training(network, SupernetInTraining)
        step = int(inner.steps_taken)
        passes = mode(step / max(1, total_steps), np.random.default_rng([seed, step]))
        images, labels = execution.place(batch.images), batch.labels.to(execution.device, non_blocking=True)
        optimizer.zero_grad(set_to_none=True)
        losses, correct, first = [], [], None
        wanted = labels if teacher is None else teacher.targets(images, labels)
        for item in passes:
            target = first if item.distilled and first is not None and teacher is None else wanted
            loss, outputs = learn(network, inner.supernet, item.genotype, images, target, execution, label_smoothing)
            first = outputs.softmax(dim=1) if first is None else first
            losses.append(loss)
            correct.append((outputs.argmax(dim=1) == labels).sum())
        clip_gradients(network.parameters(), clip_norm)
        optimizer.step()
        inner.steps_taken += 1
        return torch.stack(losses).mean(), torch.stack(correct).float().mean()

    return take_step


def learn(
    network: nn.Module,
    supernet: Supernet,
    genotype: Genotypes,
    images: Tensor,
    target: Tensor,
    execution: Execution,
    label_smoothing: float,
) -> tuple[Tensor, Tensor]:
    """One pass of `network`, a `SupernetInTraining` or a wrapper of it, whose supernet is given.

    Adds its gradients; returns its loss and its outputs (batch, classes), both without history.

    The target is labels (batch,) or a teacher's probabilities (batch, classes), which are not smoothed again.
    """
    smoothing = label_smoothing if target.ndim == 1 else 0.0
    with execution.autocast():
        outputs = network(resized(images, supernet.input_size(genotype)), genotype).float()
        loss = functional.cross_entropy(outputs, target, label_smoothing=smoothing)
    loss.backward()
    return loss.detach(), outputs.detach()


def train_supernet(
    supernet: Supernet,
    data: Data,
    recipe: Recipe,
    *,
    mode: str = SupernetSettings.mode,
    warm_up: float = 0.0,
    draw: Draw | None = None,
    drawn: str = "uniformly",
    teacher: Teacher | None = None,
    taught: str = "",
    seed: int = 0,
    execution: Execution | None = None,
    checkpoints: Checkpoints | None = None,
    observer: Observer | None = None,
    images: Mapping[str, str] | None = None,
) -> History:
    """Train a supernet in place on `data.train`; return what happened, `search` being that of a few networks.

    `mode` is one of `MODES`; `warm_up` is the share of the run in which `with_warm_up` acts; `draw` draws networks
    and `drawn` says how, for the checkpoint, `images` on which images; `taught` says who the `teacher` is.

    Raises as `nas.training.train` does.
    """
    network = SupernetInTraining(supernet)
    total_steps = recipe.epochs * data.train.steps_per_epoch(min(recipe.batch_size, len(data.train)))
    return train(
        network,
        data,
        recipe,
        seed=seed,
        execution=execution,
        checkpoints=checkpoints,
        observer=observer,
        take_step=steps_of(
            find_mode(mode, supernet.space, warm_up, draw), seed=seed, total_steps=total_steps, teacher=teacher
        ),
        evaluation=watching(data, seed, draw),
        identity={
            **(images or {}),
            "space": str(supernet.space),
            "supernet training": f"{mode}, networks drawn {drawn}, warm-up {warm_up:g}{taught and f', {taught}'}",
        },
    )


def calibration_batches(data: Data, seed: int, images: int = CALIBRATION_IMAGES) -> list[Tensor]:
    """Return training images (n, 3, size, size), without augmentation, to measure batch-norm statistics on."""
    return list(sample(data.train, images, seed).images.split(256))


def watching(data: Data, seed: int, draw: Draw | None = None) -> Evaluation:
    """Return the evaluation after each epoch: the mean accuracy of a few fixed networks, each recalibrated.

    They are drawn as those that are trained.
    """

    def watch(network: nn.Module, batches: Iterable[Batch]) -> Accuracy:
        inner = in_training(network, SupernetInTraining)
        supernet = inner.supernet
        drawn = draw or inner.sample or supernet.space.sample
        genotypes = drawn(np.random.default_rng([seed, 0xE7A]), WATCHED_NETWORKS)
        calibration = calibration_batches(data, seed)
        found = [shared_accuracy(supernet, genotype, calibration, batches) for genotype in genotypes]
        return Accuracy(
            top1=float(np.mean([accuracy.top1 for accuracy in found])),
            top5=float(np.mean([accuracy.top5 for accuracy in found])),
            loss=float(np.mean([accuracy.loss for accuracy in found])),
            count=found[0].count,
        )

    return watch


def shared_accuracy(
    supernet: Supernet, genotype: Genotypes, calibration: list[Tensor], batches: Iterable[Batch]
) -> Accuracy:
    """Return the accuracy of one network with the shared weights and batch-norm statistics of its own."""
    network = extracted(supernet, genotype, calibration)
    size = supernet.input_size(genotype)
    return evaluate(network, (Batch(_ready(batch.images, size), batch.labels) for batch in batches))


def extracted(supernet: Supernet, genotype: Genotypes, calibration: list[Tensor]) -> Network:
    """Return one network with the shared weights and batch-norm statistics of its own, in channels-last memory."""
    network = supernet.extract(genotype)
    # Two to three times as fast on a CPU.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = supernet.input_size(genotype)
    recalibrate(network, (_ready(images, size) for images in calibration))
    return network


def _ready(images: Tensor, size: int) -> Tensor:
    return resized(images, size).contiguous(memory_format=torch.channels_last)
