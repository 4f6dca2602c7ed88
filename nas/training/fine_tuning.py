"""Trainings of so many steps: at a constant learning rate, as NetAdapt gives each proposal, or by a recipe."""

from __future__ import annotations

import torch
from torch import nn

from nas.data import Data, endless_batches
from nas.training.execution import Execution, default_execution, reproducible
from nas.training.failures import check_loss, explained_failures
from nas.training.optimizers import build_optimizer, parameter_groups, set_learning_rate
from nas.training.recipes import Recipe
from nas.training.step import LOSS_CHECK_STEPS, TakeStep, apply_recipe_to_layers, madds_of, on_device, training_step


def fine_tune(
    network: nn.Module,
    data: Data,
    steps: int,
    learning_rate: float,
    seed: int,
    *,
    batch_size: int = 128,
    momentum: float = 0.9,
    weight_decay: float = 4e-5,
    execution: Execution | None = None,
) -> float:
    """Train a network in place for some steps of SGD at a constant learning rate; return the mean loss.

    The call is a function of the weights, the data and the seed. Raises UserError when the loss is no longer
    finite or memory runs out.
    """
    execution = (execution or default_execution()).for_steps_of(batch_size * madds_of(network))
    with reproducible(seed), explained_failures(batch_size, data.image_size):
        execution.prepare(network).train()
        groups = parameter_groups(network, weight_decay)
        optimizer = torch.optim.SGD(groups, lr=learning_rate, momentum=momentum)
        total = torch.zeros((), device=execution.device)
        batches = endless_batches(on_device(data.train, execution), batch_size, seed=seed)
        for step in range(steps):
            loss, _ = training_step(network, optimizer, next(batches), execution)
            total += loss
            if step % LOSS_CHECK_STEPS == 0 or step == steps - 1:
                check_loss(total, learning_rate, f"step {step + 1} of fine-tuning")
    return float(total) / max(steps, 1)


def train_steps(
    network: nn.Module,
    data: Data,
    recipe: Recipe,
    steps: int,
    seed: int,
    *,
    execution: Execution | None = None,
    take_step: TakeStep = training_step,
) -> None:
    """Train a network in place for some steps of a recipe, whose learning rate falls over them as over its epochs.

    For trainings that are no whole number of epochs; averaged weights are left out. The call is a function of the
    weights, the data and the seed. Raises UserError when the loss is no longer finite or memory runs out.
    """
    execution = (execution or default_execution()).for_steps_of(recipe.batch_size * madds_of(network))
    with reproducible(seed), explained_failures(recipe.batch_size, data.image_size):
        execution.prepare(network).train()
        apply_recipe_to_layers(network, recipe, max(1, steps))
        optimizer = build_optimizer(network, recipe)
        total = torch.zeros((), device=execution.device)
        batches = endless_batches(on_device(data.train, execution), recipe.batch_size, seed=seed)
        for step in range(steps):
            rate = recipe.learning_rate_at(recipe.epochs * (step + 0.5) / steps)
            set_learning_rate(optimizer, rate)
            loss, _ = take_step(
                network,
                optimizer,
                next(batches),
                execution,
                label_smoothing=recipe.label_smoothing,
                clip_norm=recipe.clip_norm,
            )
            total += loss
            if step % LOSS_CHECK_STEPS == 0 or step == steps - 1:
                check_loss(total, rate, f"step {step + 1}")
        network.eval()
