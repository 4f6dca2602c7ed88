"""Evaluating a classifier on batches of a split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nas.data.batches import Batch
from nas.tasks import CLASSIFICATION, Task, TaskScore
from searchspace.support.errors import UserError


@dataclass(frozen=True)
class Accuracy:
    """How well a classifier does on `count` images: top-1 and top-5 in per cent, mean cross-entropy in nats.

    With fewer than five classes top-5 is 100 by definition.
    """

    top1: float
    top5: float
    loss: float
    count: int


Score = Accuracy | TaskScore


def score_from(values: dict[str, Any]) -> Score:
    """Return the score whose fields a checkpoint or log holds."""
    return TaskScore(**values) if "metric" in values else Accuracy(**values)


class Evaluation(Protocol):
    """What `evaluate` does, and what a supernet does instead."""

    def __call__(self, network: nn.Module, batches: Iterable[Batch]) -> Score:
        """Return how well a network does over all batches."""


@torch.inference_mode()
def evaluate(network: nn.Module, batches: Iterable[Batch]) -> Accuracy:
    """Return the accuracy of a network over all batches, in evaluation mode; the network's mode is put back.

    Raises UserError when there is no image, or when a label has no output to match.
    """
    device = device_of(network)
    meter = CLASSIFICATION.meter()
    with _evaluating(network):
        for images, labels in batches:
            labels = labels.to(device)
            outputs = network(images.to(device)).float()
            _check_labels(outputs, labels)
            meter.update(outputs, labels)
    if meter.count == 0:
        raise UserError("nothing to evaluate: the split holds no image")
    return Accuracy(**meter.values(), count=meter.count)


@torch.inference_mode()
def evaluate_task(network: nn.Module, batches: Iterable[Batch], task: Task) -> TaskScore:
    """Return how well a network does at a task over all batches, in evaluation mode; its mode is put back.

    Raises UserError when there is no image.
    """
    device = device_of(network)
    meter, count = task.meter(), 0
    with _evaluating(network):
        for images, targets in batches:
            meter.update(network(images.to(device)), targets.to(device))
            count += len(targets)
    if count == 0:
        raise UserError("nothing to evaluate: the split holds no image")
    values = meter.values()
    return TaskScore(task.metric, values[task.metric], count, values)


def device_of(network: nn.Module) -> torch.device:
    """Return the device a network's parameters lie on (the CPU for one without any)."""
    first = next(network.parameters(), None)
    return first.device if first is not None else torch.device("cpu")


def _check_labels(outputs: Tensor, labels: Tensor) -> None:
    if outputs.shape[1] <= int(labels.max()):
        raise UserError(
            f"the network has {outputs.shape[1]} classes but the data set has a class {int(labels.max())}; "
            "give the network as many classes as the data set has"
        )


def chance_warning(accuracy: Accuracy, classes: int, what: str = "the network") -> str | None:
    """Return a warning where `what` answers no better than by chance, 100 % / classes; None where it does."""
    chance = 100 / classes
    if accuracy.top1 > chance:
        return None
    return (
        f"{what} is right on {accuracy.top1:.2f} % of {accuracy.count} images, no better than chance "
        f"({chance:.2f} % with {classes} classes): it has learnt nothing. Train longer, lower the learning rate, or "
        "check that labels, classes and image scaling fit the weights"
    )


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def evaluated_on_test(network: object, data: str) -> dict[str, str]:
    """Return what a result says was evaluated: the network as it ran, the images as they were asked for, which part."""
    return {"network": str(network), "data": data, "part": "test"}
