"""The training loop: `train` runs a recipe to its end, a function of weights, data and seed.

Every batch's randomness (order, augmentation, dropout) follows from seed, epoch and step alone, so no
generator state is kept: a run continued from a checkpoint computes the same numbers as one that was never
interrupted.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nas.data import Batch, Split
from nas.data.batches import batch_seed
from nas.training import distributed
from nas.training.averaging import AveragedNetwork
from nas.training.checkpoint import Checkpoints
from nas.training.evaluation import Evaluation, evaluate, score_from
from nas.training.execution import Execution, default_execution, reproducible
from nas.training.failures import check_loss, check_state, explained_failures
from nas.training.history import EpochRecord, History, Observer
from nas.training.interrupts import Interruption
from nas.training.memory import keep_freed_memory
from nas.training.optimizers import build_optimizer, set_learning_rate
from nas.training.recipes import Recipe
from nas.training.step import (
    LOSS_CHECK_STEPS,
    TakeStep,
    apply_recipe_to_layers,
    madds_of,
    on_device,
    training_step,
)


class TrainingData(Protocol):
    """What a training needs of a data set: `nas.data.Data` has it, and sets with boxes or masks."""

    @property
    def spec(self) -> str:
        """What it was loaded from."""

    @property
    def image_size(self) -> int:
        """Side of the images in pixels."""

    @property
    def train(self) -> Split:
        """The images that are learnt from."""

    @property
    def search(self) -> Split:
        """The images that are watched."""


def train(
    network: nn.Module,
    data: TrainingData,
    recipe: Recipe,
    *,
    seed: int = 0,
    execution: Execution | None = None,
    checkpoints: Checkpoints | None = None,
    observer: Observer | None = None,
    take_step: TakeStep = training_step,
    evaluation: Evaluation = evaluate,
    identity: Mapping[str, str] | None = None,
) -> History:
    """Train a network in place on `data.train`, watching `data.search`; return what happened.

    A supernet gives its own `take_step` and `evaluation`, and as `identity` what else decides its numbers
    (`nas.supernets.training`).

    With `ema_decay` the network ends with the averaged weights, which are also those evaluated. Raises
    UserError when the loss is no longer finite, memory runs out, or a checkpoint belongs to another run, and
    KeyboardInterrupt, after saving, when interrupted.
    """
    execution = execution or default_execution()
    if execution.device == "cpu":
        keep_freed_memory()
    with reproducible(seed), explained_failures(recipe.batch_size, data.image_size):
        run = _Run(network, data, recipe, seed, execution, take_step, evaluation, identity or {})
        if checkpoints is not None and (state := checkpoints.load(run.identity())) is not None:
            run.restore(state)
        if observer is not None:
            for record in run.records:
                observer.epoch_done(record)
        with Interruption() as interruption:
            while run.epoch < recipe.epochs:
                run.train_epoch(checkpoints, observer, interruption)
        run.finish()
    return History(tuple(run.records))


class _Run:
    """The state of one training run, between steps."""

    def __init__(
        self,
        network: nn.Module,
        data: TrainingData,
        recipe: Recipe,
        seed: int,
        execution: Execution,
        take_step: TakeStep,
        evaluation: Evaluation,
        identity: Mapping[str, str],
    ) -> None:
        self.take_step, self.evaluation, self.further_identity = take_step, evaluation, identity
        self.network = execution.prepare(network)
        self.data, self.recipe, self.seed = data, recipe, seed
        self.precision_asked = execution.bf16
        self.split = on_device(data.train, execution)
        self.batch_size = min(recipe.batch_size, len(data.train))
        self.execution = execution.for_steps_of(self.batch_size * madds_of(network))
        self.steps = self.split.steps_per_epoch(self.batch_size)
        apply_recipe_to_layers(network, recipe, self.steps * recipe.epochs)
        self.optimizer = build_optimizer(network, recipe)
        self.averaged = AveragedNetwork(network, recipe.ema_decay) if recipe.ema_decay is not None else None
        replica = distributed.replicated(network)
        self.forward = execution.compiled(replica)
        self.epoch = self.step = 0
        self.totals = self._no_totals()
        self.seconds = 0.0
        self.records: list[EpochRecord] = []

    @property
    def evaluated(self) -> nn.Module:
        """The network whose accuracy counts."""
        return self.averaged.module if self.averaged is not None else self.network

    def train_epoch(
        self, checkpoints: Checkpoints | None, observer: Observer | None, interruption: Interruption
    ) -> None:
        """Run the rest of the current epoch, evaluate, and move on to the next."""
        self.forward.train()
        shard = distributed.current_shard()
        batches = self.split.train_batches(
            self.batch_size, seed=self.seed, epoch=self.epoch, start=self.step, shard=shard
        )
        started = time.monotonic()
        earlier = self.seconds
        for batch in batches:
            self._take_step(batch)
            self.seconds = earlier + time.monotonic() - started
            if observer is not None:
                observer.step_done(self.epoch + 1, self.step, self.steps, self.batch_size)
            if checkpoints is not None and (interruption.asked or checkpoints.due()):
                self._save(checkpoints)
            interruption.raise_if_asked()
        self._finish_epoch(checkpoints, observer)

    def finish(self) -> None:
        """Leave the network with the weights that were evaluated, and in evaluation mode."""
        if self.averaged is not None:
            self.network.load_state_dict(self.averaged.module.state_dict())
        self.network.eval()

    def identity(self) -> dict[str, str]:
        """Return what must be the same for a continuation to compute the same numbers."""
        return {
            "recipe": str(self.recipe),
            "seed": str(self.seed),
            "data": f"{self.data.spec} at {self.data.image_size} px, {len(self.data.train)} training images",
            "network": f"{sum(parameter.numel() for parameter in self.network.parameters())} parameters",
            **self.further_identity,
        }

    def state(self) -> dict[str, Any]:
        """Return everything a continuation needs, as tensors and plain values."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "totals": self.totals.cpu(),
            "seconds": self.seconds,
            "bf16": bool(self.execution.bf16),
            "records": [asdict(record) for record in self.records],
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "averaged": self.averaged.state_dict() if self.averaged is not None else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.epoch, self.step, self.seconds = state["epoch"], state["step"], state["seconds"]
        self.totals = state["totals"].to(self.execution.device)
        if self.precision_asked is None:
            self.execution = replace(self.execution, bf16=state.get("bf16", False))
        self.records = [
            EpochRecord(**{**record, "search": score_from(record["search"])}) for record in state["records"]
        ]
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])

    def _take_step(self, batch: Batch) -> None:
        torch.manual_seed(batch_seed(self.seed, self.epoch, self.step, distributed.current_shard().rank))
        learning_rate = self._learning_rate()
        set_learning_rate(self.optimizer, learning_rate)
        loss, correct = self.take_step(
            self.forward,
            self.optimizer,
            batch,
            self.execution,
            label_smoothing=self.recipe.label_smoothing,
            clip_norm=self.recipe.clip_norm,
        )
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)
        self.totals += torch.stack([loss * len(batch.labels), correct, correct.new_tensor(len(batch.labels))])
        self.step += 1
        if self.step % LOSS_CHECK_STEPS == 0 or self.step == self.steps:
            check_loss(self.totals[0], learning_rate, f"epoch {self.epoch + 1}, step {self.step}")

    def _finish_epoch(self, checkpoints: Checkpoints | None, observer: Observer | None) -> None:
        loss, correct, count = distributed.summed(self.totals).tolist()
        accuracy = self.evaluation(self.evaluated, self.data.search.batches(self.execution.evaluation_batch))
        record = EpochRecord(
            epoch=self.epoch + 1,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            train_loss=loss / count,
            train_top1=100 * correct / count,
            search=accuracy,
            seconds=self.seconds,
            images_per_second=count / max(self.seconds, 1e-9),
        )
        self.records.append(record)
        self.epoch, self.step, self.totals, self.seconds = self.epoch + 1, 0, self._no_totals(), 0.0
        if checkpoints is not None:
            self._save(checkpoints)
        if observer is not None:
            observer.epoch_done(record)

    def _save(self, checkpoints: Checkpoints) -> None:
        if distributed.is_first():
            state = self.state()
            check_state(state, f"epoch {self.epoch + 1}, step {self.step}")
            checkpoints.save(state, self.identity())

    def _learning_rate(self) -> float:
        # The first step of a warm-up moves a little too, hence the + 1.
        return self.recipe.learning_rate_at(self.epoch + (self.step + 1) / (self.steps + 1))

    def _no_totals(self) -> Tensor:
        return torch.zeros(3, dtype=torch.float64, device=self.execution.device)
