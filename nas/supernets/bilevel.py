"""Bilevel search of cells: architecture logits learn on one half of the training images, weights on the other.

DARTS (Liu et al., arXiv 1806.09055, algorithm 1) in its first and second order, and PC-DARTS (Xu et al., arXiv
1907.05737), whose logits stay frozen for the first part of the run. All state lies in the network's buffers and the
weights' optimizer, so that the training loop's checkpoints resume a search to the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.data import Batch, Data, MemorySplit
from nas.data.batches import batch_seed, shuffled
from nas.supernets.bilevel_settings import BilevelSettings, Order
from nas.training.checkpoint import Checkpoints
from nas.training.execution import Execution
from nas.training.history import History, Observer
from nas.training.loop import train
from nas.training.recipes import OptimizerKind, Recipe
from nas.training.step import TakeStep, gradient_step
from searchspace.cells.supernet import ArchitectureWeights, CellSupernet
from searchspace.support.errors import UserError

_HALVES = 0xDA27  # salt of the draw of the two halves
_PERTURBATION = 0.01  # of the finite difference, relative to the gradient's norm (DARTS, footnote 2)


class CellSearch(nn.Module):
    """A cell supernet in training, with the moments of its logits' Adam and the count of steps as buffers."""

    steps_taken: Tensor
    logit_steps: Tensor

    def __init__(self, supernet: CellSupernet) -> None:
        super().__init__()
        self.supernet = supernet
        self.register_buffer("steps_taken", torch.zeros((), dtype=torch.int64))
        self.register_buffer("logit_steps", torch.zeros((), dtype=torch.int64))
        for name, logits in supernet.architecture._asdict().items():
            self.register_buffer(f"mean_{name}", torch.zeros_like(logits))
            self.register_buffer(f"square_{name}", torch.zeros_like(logits))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (batch, 3, size, size) to logits (batch, classes)."""
        logits: Tensor = self.supernet(x)
        return logits

    @torch.no_grad()
    def descend(self, gradients: ArchitectureWeights, settings: BilevelSettings) -> None:
        """Take one step of Adam with L2 decay on the architecture's logits."""
        self.logit_steps += 1
        step = int(self.logit_steps)
        for name, gradient in gradients._asdict().items():
            logits = getattr(self.supernet, name)
            mean, square = getattr(self, f"mean_{name}"), getattr(self, f"square_{name}")
            gradient = gradient + settings.weight_decay * logits
            mean.mul_(settings.beta1).add_(gradient, alpha=1 - settings.beta1)
            square.mul_(settings.beta2).addcmul_(gradient, gradient, value=1 - settings.beta2)
            scale = (square / (1 - settings.beta2**step)).sqrt_().add_(1e-8)
            logits.sub_(settings.learning_rate / (1 - settings.beta1**step) * mean / scale)


Loss = Callable[[Sequence[Tensor]], Tensor]


def first_order_gradient(valid_loss: Loss, architecture: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradient of the validation loss by the architecture at the weights as they are."""
    free = [part.detach().clone().requires_grad_() for part in architecture]
    return list(torch.autograd.grad(valid_loss(free), free, allow_unused=True, materialize_grads=True))


def second_order_gradient(
    train_loss: Loss,
    valid_loss: Loss,
    architecture: Sequence[Tensor],
    weights: Sequence[nn.Parameter],
    step: Sequence[Tensor],
    learning_rate: float,
) -> list[Tensor]:
    """Return the gradient of the validation loss by the architecture behind one step of the weights.

    Equations 7 and 8 of DARTS: the losses are functions of the architecture at the weights in place; `step` is what
    the optimizer would multiply by `learning_rate`. The Hessian product is a central difference. The weights are put
    back.
    """
    free = [part.detach().clone().requires_grad_() for part in architecture]
    kept = [weight.detach().clone() for weight in weights]
    _place(weights, kept, step, -learning_rate)
    found = torch.autograd.grad(valid_loss(free), [*free, *weights], allow_unused=True, materialize_grads=True)
    gradient, direction = list(found[: len(free)]), found[len(free) :]
    norm = torch.sqrt(sum(part.square().sum() for part in direction))  # type: ignore[arg-type]
    epsilon = float(_PERTURBATION / norm.clamp_min(1e-12))
    sides = []
    for sign in (1.0, -1.0):
        _place(weights, kept, direction, sign * epsilon)
        sides.append(torch.autograd.grad(train_loss(free), free, allow_unused=True, materialize_grads=True))
    _place(weights, kept, kept, 0.0)
    return [
        part - learning_rate * (above - below) / (2 * epsilon)
        for part, above, below in zip(gradient, *sides, strict=True)
    ]


@torch.no_grad()
def _place(weights: Sequence[nn.Parameter], kept: Sequence[Tensor], along: Sequence[Tensor], share: float) -> None:
    for weight, base, direction in zip(weights, kept, along, strict=True):
        weight.copy_(torch.add(base, direction, alpha=share))


def bilevel_steps(
    valid: MemorySplit, recipe: Recipe, settings: BilevelSettings, *, seed: int, steps_per_epoch: int
) -> TakeStep:
    """Return the step of the training loop that trains a `CellSearch`: first its logits, then its weights."""

    def take_step(
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        batch: Batch,
        execution: Execution,
        *,
        label_smoothing: float = 0.0,
        clip_norm: float | None = None,
    ) -> tuple[Tensor, Tensor]:
        search = _search_of(network)
        number = int(search.steps_taken)
        images, labels = execution.place(batch.images), batch.labels.to(execution.device, non_blocking=True)
        if number >= settings.frozen_share * recipe.epochs * steps_per_epoch:
            epoch, start = divmod(number, steps_per_epoch)
            size = min(len(labels), len(valid))
            held = next(valid.train_batches(size, seed=seed, epoch=epoch, start=start % valid.steps_per_epoch(size)))
            losses = (
                _loss_of(search.supernet, images, labels, execution),
                _loss_of(search.supernet, execution.place(held.images), held.labels.to(execution.device), execution),
            )
            search.descend(_architecture_gradient(search.supernet, optimizer, losses, settings, recipe), settings)
        with execution.autocast():
            outputs = search(images)
            loss = functional.cross_entropy(outputs.float(), labels, label_smoothing=label_smoothing)
        gradient_step(network, optimizer, loss, clip_norm)
        search.steps_taken += 1
        return loss.detach(), (outputs.detach().argmax(dim=1) == labels).sum()

    return take_step


def _search_of(network: nn.Module) -> CellSearch:
    """Return the search inside whatever the training loop wrapped it in."""
    found = next((module for module in network.modules() if isinstance(module, CellSearch)), None)
    if found is None:
        raise TypeError(f"a cell search step trains a CellSearch, not a {type(network).__name__}")
    return found


def _loss_of(supernet: CellSupernet, images: Tensor, labels: Tensor, execution: Execution) -> Loss:
    def loss(architecture: Sequence[Tensor]) -> Tensor:
        with execution.autocast():
            outputs = supernet(images, ArchitectureWeights(*architecture))
            return functional.cross_entropy(outputs.float(), labels)

    return loss


def _architecture_gradient(
    supernet: CellSupernet,
    optimizer: torch.optim.Optimizer,
    losses: tuple[Loss, Loss],
    settings: BilevelSettings,
    recipe: Recipe,
) -> ArchitectureWeights:
    train_loss, valid_loss = losses
    if settings.order is Order.FIRST:
        return ArchitectureWeights(*first_order_gradient(valid_loss, supernet.architecture))
    weights = list(supernet.parameters())
    rate = float(optimizer.param_groups[0]["lr"])
    gradients = torch.autograd.grad(train_loss(list(supernet.architecture)), weights, materialize_grads=True)
    step = [
        recipe.momentum * optimizer.state[weight].get("momentum_buffer", torch.zeros_like(weight))
        + gradient
        + recipe.weight_decay * weight.detach()
        for weight, gradient in zip(weights, gradients, strict=True)
    ]
    return ArchitectureWeights(
        *second_order_gradient(train_loss, valid_loss, supernet.architecture, weights, step, rate)
    )


def halves(split: MemorySplit, seed: int) -> tuple[MemorySplit, MemorySplit]:
    """Return two disjoint halves of a training split, drawn from `seed`: for the weights and for the logits."""
    order = torch.from_numpy(shuffled(len(split), seed, _HALVES))
    middle = len(order) // 2
    first, second = (part.sort().values for part in (order[:middle], order[middle:]))
    return replace(split, indices=split.indices[first]), replace(split, indices=split.indices[second])


def search_cells(
    supernet: CellSupernet,
    data: Data,
    recipe: Recipe,
    settings: BilevelSettings,
    *,
    seed: int = 0,
    execution: Execution | None = None,
    checkpoints: Checkpoints | None = None,
    observer: Observer | None = None,
) -> History:
    """Train a cell supernet in place, logits and weights; `supernet.discretised()` is then what was found.

    Raises UserError for training images that do not fit in memory, and as `nas.training.train` does.
    """
    if not isinstance(data.train, MemorySplit):
        raise UserError(f"{data.spec} is too large to be decoded into memory, which a cell search needs")
    if recipe.optimizer is not OptimizerKind.SGD:
        raise UserError(f"a cell search trains its weights by SGD, recipe {recipe.name} by {recipe.optimizer}")
    weights_half, logits_half = halves(data.train, seed)
    steps = weights_half.steps_per_epoch(min(recipe.batch_size, len(weights_half)))
    return train(
        CellSearch(supernet),
        replace(data, train=weights_half),
        recipe,
        seed=seed,
        execution=execution,
        checkpoints=checkpoints,
        observer=observer,
        take_step=bilevel_steps(logits_half, recipe, settings, seed=batch_seed(seed, 0, 0, 1), steps_per_epoch=steps),
        identity={"space": str(supernet.space), "cell search": f"{settings}, partial {supernet.partial}"},
    )
