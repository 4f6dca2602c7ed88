"""What a task is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor


@dataclass(frozen=True)
class TaskScore:
    """How well a network does on `count` images: `metric` in per cent, larger is better, and `values` beside it."""

    metric: str
    value: float
    count: int
    values: Mapping[str, float] = field(default_factory=dict)


class Meter(Protocol):
    """Collects what a network answers, batch by batch."""

    def update(self, outputs: Any, targets: Tensor) -> None:
        """Take the outputs and targets of one batch."""

    def values(self) -> dict[str, float]:
        """Return the figures by name over all batches so far."""


class Task(Protocol):
    """Loss, metric and head of one kind of target."""

    @property
    def name(self) -> str:
        """What the command line calls it."""

    @property
    def metric(self) -> str:
        """The figure of its meter that counts, in per cent."""

    def loss(self, outputs: Any, targets: Tensor, label_smoothing: float) -> Tensor:
        """Return the mean loss of a batch."""

    def correct(self, outputs: Any, targets: Tensor) -> Tensor:
        """Return the number of images answered rightly, in parts where an image has many answers."""

    def meter(self) -> Meter:
        """Return a new meter."""
