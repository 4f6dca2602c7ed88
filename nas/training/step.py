"""One optimisation step, shared by training, fine-tuning and the supernet."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from nas.data import Batch, MemorySplit, Split
from nas.tasks import CLASSIFICATION, Task
from nas.training.execution import Execution
from nas.training.optimizers import clip_gradients
from nas.training.recipes import Recipe
from searchspace.modules import Network

# Reading the loss makes a GPU wait for its queue, so it happens once in this many steps.
LOSS_CHECK_STEPS = 20
# Decoded images move to the GPU as a whole when they take less than this share of its free memory.
IMAGES_SHARE_OF_GPU = 0.25
# Batch-norm statistics see at least this many of their own averaging windows in a run.
SETTLING_SHARES = 30


class TakeStep(Protocol):
    """What `training_step` does, and what a supernet does instead."""

    def __call__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        batch: Batch,
        execution: Execution,
        *,
        label_smoothing: float = 0.0,
        clip_norm: float | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Take one optimisation step; return the loss and the number of correct answers, both on the device."""


@runtime_checkable
class ConfiguresLayers(Protocol):
    """A module that runs layers which are not its submodules, as a supernet does."""

    def configure_layers(self, *, dropout: float, batch_norm_momentum: float) -> None:
        """Set the dropout and the batch-norm momentum of the layers that run."""


@runtime_checkable
class CountsMadds(Protocol):
    """A module other than a plain network that knows what a forward pass of an image costs."""

    @property
    def madds(self) -> float:
        """Multiply-adds of a forward pass of one image."""


def madds_of(network: nn.Module) -> float:
    """Return the multiply-adds of a forward pass of one image, 0 for modules that do not say."""
    if isinstance(network, Network):
        return float(network.architecture.madds)
    return network.madds if isinstance(network, CountsMadds) else 0.0


def gradient_step(network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, clip_norm: float | None) -> None:
    """Step down the gradient of a loss, cut to the norm where one is given."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    clip_gradients(network.parameters(), clip_norm)
    optimizer.step()


def training_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    execution: Execution,
    *,
    label_smoothing: float = 0.0,
    clip_norm: float | None = None,
    task: Task = CLASSIFICATION,
) -> tuple[Tensor, Tensor]:
    """Take one optimisation step; return the loss and the number of correct answers, both on the device."""
    images, labels = execution.place(batch.images), batch.labels.to(execution.device, non_blocking=True)
    with execution.autocast():
        outputs = network(images)
        loss = task.loss(outputs, labels, label_smoothing)
    gradient_step(network, optimizer, loss, clip_norm)
    return loss.detach(), task.correct(outputs, labels)


def apply_recipe_to_layers(network: nn.Module, recipe: Recipe, steps: int) -> None:
    """Give the recipe's dropout and batch-norm momentum to the layers that have them.

    In a run of few `steps` the momentum is raised, at most to one half, so that the statistics still
    forget the random start and follow weights that move fast: ImageNet recipes average over hundreds of steps.
    """
    momentum = max(recipe.batch_norm_momentum, min(0.5, SETTLING_SHARES / steps))
    for module in network.modules():
        if isinstance(module, ConfiguresLayers):
            module.configure_layers(dropout=recipe.dropout, batch_norm_momentum=momentum)
        if isinstance(module, nn.Dropout):
            module.p = recipe.dropout
        elif isinstance(module, nn.BatchNorm2d):
            module.momentum = momentum


def on_device(split: Split, execution: Execution) -> Split:
    """Return the split with its batches made on the GPU in use, the decoded images moved there where they fit."""
    if not execution.device.startswith("cuda"):
        return split
    free, _ = torch.cuda.mem_get_info(execution.device)
    fits = not isinstance(split, MemorySplit) or split.images.nbytes < free * IMAGES_SHARE_OF_GPU
    return split.to(execution.device) if fits else split
