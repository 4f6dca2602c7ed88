"""Training a supernet: which networks take part in a step, and what each learns from.

A mode is a function of progress and a random generator that lists the passes of one step. The loop, the checkpoints
and the recipes are those of single networks (`nas.training.loop`). A step is a function of seed and step number, so a
resumed run continues exactly. Gradients of the passes of a step add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.data import Batch, Data, sample
from nas.training.checkpoint import Checkpoints
from nas.training.evaluation import Accuracy, Evaluation, evaluate
from nas.training.execution import Execution
from nas.training.history import History, Observer
from nas.training.loop import train
from nas.training.optimizers import clip_gradients
from nas.training.recipes import Recipe
from nas.training.step import TakeStep
from searchspace.choices import Genotypes
from searchspace.extremes import largest, smallest
from searchspace.space import SearchSpace
from searchspace.supernet import Supernet, recalibrate, resized
from searchspace.support.errors import UserError

WATCHED_NETWORKS = 3  # evaluated after each epoch, to see that training gets somewhere
CALIBRATION_IMAGES = 512


@dataclass(frozen=True)
class Pass:
    """One forward and backward pass: the genotype, and whether it learns from the first pass's outputs."""

    genotype: Genotypes
    distilled: bool = False


Mode = Callable[[float, np.random.Generator], list[Pass]]
# Draws n networks, shape (n, choices): uniformly, or only those that a search may end with.
Draw = Callable[[np.random.Generator, int], Genotypes]


def single_path(space: SearchSpace, draw: Draw | None = None) -> Mode:
    """One network a step: each choice uniform (Guo et al., arXiv 1904.00420), or all as `draw` draws them."""
    drawn = draw or space.sample
    return lambda progress, rng: [Pass(drawn(rng, 1)[0])]


def fair(space: SearchSpace, draw: Draw | None = None) -> Mode:
    """As many networks a step as the widest choice has values, each value in equally many of them.

    Strict fairness of FairNAS (Chu et al., arXiv 1907.01845); choices with fewer values repeat theirs. What a round
    trains is fixed, whatever `draw` draws.
    """
    rounds = int(space.radices.max())

    def passes(progress: float, rng: np.random.Generator) -> list[Pass]:
        columns = [rng.permutation(np.resize(rng.permutation(radix), rounds)) for radix in space.radices]
        return [Pass(genotype) for genotype in space.canonical(np.stack(columns, axis=1).astype(np.uint8))]

    return passes


def sandwich(space: SearchSpace, draw: Draw | None = None, between: int = 2) -> Mode:
    """The largest network, then the smallest and some drawn ones, which learn from the largest one's outputs.

    The sandwich rule with in-place distillation (Yu and Huang, arXiv 1903.05134).
    """
    ends = largest(space), smallest(space)
    drawn = draw or space.sample

    def passes(progress: float, rng: np.random.Generator) -> list[Pass]:
        chosen = [ends[1], *drawn(rng, between)]
        return [Pass(ends[0]), *(Pass(genotype, distilled=True) for genotype in chosen)]

    return passes


# Once-for-All frees kernels, then depth, then widths (arXiv 1908.09791, section 3.3).
SHRINKING_ORDER = (("kernel",), ("depth",), ("ratio", "width", "multiplier"))


def shrinking(space: SearchSpace, draw: Draw | None = None, networks: int = 2) -> Mode:
    """Progressive shrinking: the sizes start at their largest and are freed kind by kind, a quarter of the run each.

    Choices that are no sizes (block, activation, squeeze-excite) are free from the start. All but the largest
    network learn from its outputs. `draw` draws once all sizes are free; sizes held at their largest cost what they
    cost.
    """
    top = largest(space)
    stage_of = np.array([_shrinking_stage(choice.path) for choice in space.choices])

    def passes(progress: float, rng: np.random.Generator) -> list[Pass]:
        free = stage_of <= int(progress * (len(SHRINKING_ORDER) + 1))
        sampled = (draw if draw is not None and free.all() else space.sample)(rng, networks)
        # A choice that the largest network does not have keeps what was drawn.
        held = ~free & space.active(top[None])[0]
        chosen = space.canonical(np.where(held, top, sampled).astype(np.uint8))
        return [Pass(top), *(Pass(genotype, distilled=True) for genotype in chosen)]

    return passes


def _shrinking_stage(path: str) -> int:
    field = path.rsplit("/", 1)[-1]
    return next((i for i, names in enumerate(SHRINKING_ORDER, start=1) if field in names), 0)


def with_warm_up(space: SearchSpace, mode: Mode, share: float = 0.25) -> Mode:
    """Warm up all choices first: in the first `share` of the run a step often trains every value of every choice.

    The chance falls linearly from 1 to 0, as that of TuNAS's warm-up (Bender et al., arXiv 2008.06120); where TuNAS
    adds the outputs of all values, these take turns in one fair round.
    """
    everything = fair(space)

    def passes(progress: float, rng: np.random.Generator) -> list[Pass]:
        chance = max(0.0, 1 - progress / share) if share else 0.0
        return everything(progress, rng) if rng.random() < chance else mode(progress, rng)

    return passes


MODES: dict[str, Callable[[SearchSpace, Draw | None], Mode]] = {
    "single-path": single_path,
    "fair": fair,
    "sandwich": sandwich,
    "shrinking": shrinking,
}


def check_mode(name: str, *extra: str) -> None:
    """Raise UserError for a name that is neither in `MODES` nor one of the `extra` ones."""
    if name not in (*MODES, *extra):
        raise UserError(f"unknown supernet training {name!r}, expected one of {', '.join((*MODES, *extra))}")


def find_mode(name: str, space: SearchSpace, warm_up: float = 0.0, draw: Draw | None = None) -> Mode:
    """Return a mode by name, with a warm-up of all choices where a share is given; raises UserError."""
    check_mode(name)
    mode = MODES[name](space, draw)
    return with_warm_up(space, mode, warm_up) if warm_up else mode


class SupernetInTraining(nn.Module):
    """A supernet with the number of steps it has taken, which is saved with its weights."""

    steps_taken: Tensor

    def __init__(self, supernet: Supernet) -> None:
        super().__init__()
        self.supernet = supernet
        self.register_buffer("steps_taken", torch.zeros((), dtype=torch.int64))


def steps_of(mode: Mode, *, seed: int, total_steps: int) -> TakeStep:
    """Return the step of the training loop that trains a `SupernetInTraining` in a mode."""

    def take_step(
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        batch: Batch,
        execution: Execution,
        *,
        label_smoothing: float = 0.0,
        clip_norm: float | None = None,
    ) -> tuple[Tensor, Tensor]:
        assert isinstance(network, SupernetInTraining)
        step = int(network.steps_taken)
        passes = mode(step / max(1, total_steps), np.random.default_rng([seed, step]))
        images, labels = execution.place(batch.images), batch.labels.to(execution.device, non_blocking=True)
        optimizer.zero_grad(set_to_none=True)
        losses, correct, teacher = [], [], None
        for item in passes:
            target = teacher if item.distilled and teacher is not None else labels
            loss, outputs = learn(network.supernet, item.genotype, images, target, execution, label_smoothing)
            teacher = outputs.softmax(dim=1) if teacher is None else teacher
            losses.append(loss)
            correct.append((outputs.argmax(dim=1) == labels).sum())
        clip_gradients(network.parameters(), clip_norm)
        optimizer.step()
        network.steps_taken += 1
        return torch.stack(losses).mean(), torch.stack(correct).float().mean()

    return take_step


def learn(
    supernet: Supernet,
    genotype: Genotypes,
    images: Tensor,
    target: Tensor,
    execution: Execution,
    label_smoothing: float,
) -> tuple[Tensor, Tensor]:
    """One pass: add its gradients, return its loss and its outputs (batch, classes), both without history.

    The target is labels (batch,) or a teacher's probabilities (batch, classes), which are not smoothed again.
    """
    architecture = supernet.space.decode(genotype)
    smoothing = label_smoothing if target.ndim == 1 else 0.0
    with execution.autocast():
        outputs = supernet(resized(images, supernet.input_size(architecture)), architecture).float()
        loss = functional.cross_entropy(outputs, target, label_smoothing=smoothing)
    loss.backward()
    return loss.detach(), outputs.detach()


def train_supernet(
    supernet: Supernet,
    data: Data,
    recipe: Recipe,
    *,
    mode: str = "single-path",
    warm_up: float = 0.0,
    draw: Draw | None = None,
    drawn: str = "uniformly",
    seed: int = 0,
    execution: Execution | None = None,
    checkpoints: Checkpoints | None = None,
    observer: Observer | None = None,
) -> History:
    """Train a supernet in place on `data.train`; return what happened, `search` being that of a few networks.

    `mode` is one of `MODES`; `warm_up` is the share of the run in which `with_warm_up` acts; `draw` draws networks
    and `drawn` says how, for the checkpoint. Raises as `nas.training.train` does.
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
        take_step=steps_of(find_mode(mode, supernet.space, warm_up, draw), seed=seed, total_steps=total_steps),
        evaluation=watching(data, seed, draw),
        identity={
            "space": str(supernet.space),
            "supernet training": f"{mode}, networks drawn {drawn}, warm-up {warm_up:g}",
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
        assert isinstance(network, SupernetInTraining)
        supernet = network.supernet
        genotypes = (draw or supernet.space.sample)(np.random.default_rng([seed, 0xE7A]), WATCHED_NETWORKS)
        calibration = calibration_batches(data, seed)
        found = [score_network(supernet, genotype, calibration, batches) for genotype in genotypes]
        return Accuracy(
            top1=float(np.mean([accuracy.top1 for accuracy in found])),
            top5=float(np.mean([accuracy.top5 for accuracy in found])),
            loss=float(np.mean([accuracy.loss for accuracy in found])),
            count=found[0].count,
        )

    return watch


def score_network(
    supernet: Supernet, genotype: Genotypes, calibration: list[Tensor], batches: Iterable[Batch]
) -> Accuracy:
    """Return the accuracy of one network with the shared weights and batch-norm statistics of its own."""
    architecture = supernet.space.decode(genotype)
    network = supernet.extract(architecture)
    # Two to three times as fast on a CPU.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = supernet.input_size(architecture)

    def ready(images: Tensor) -> Tensor:
        return resized(images, size).contiguous(memory_format=torch.channels_last)

    recalibrate(network, map(ready, calibration))
    return evaluate(network, (Batch(ready(batch.images), batch.labels) for batch in batches))
