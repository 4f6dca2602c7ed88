"""What a training run leaves behind, epoch by epoch, and what may watch it meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nas.training.evaluation import Accuracy, Score


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One epoch: its number from 1, the mean training loss and top-1 (%) on augmented images, and the search
    split.

    `learning_rate` is that of the last step; `images_per_second` counts training only.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_top1: float
    search: Score
    seconds: float
    images_per_second: float

    @property
    def accuracy(self) -> Accuracy:
        """The search split's accuracy, of a run that classifies."""
        assert isinstance(self.search, Accuracy)
        return self.search


@dataclass(frozen=True)
class History:
    """All epochs of a run, in order."""

    epochs: tuple[EpochRecord, ...]

    @property
    def final(self) -> EpochRecord:
        """The last epoch."""
        return self.epochs[-1]


class Observer(Protocol):
    """What watches a run; the numbers it gets never depend on it."""

    def step_done(self, epoch: int, step: int, steps: int, images: int) -> None:
        """Called after step `step` of `steps` (from 1), with the images it used over all processes."""

    def epoch_done(self, record: EpochRecord) -> None:
        """Called after an epoch and its evaluation, and for the epochs of a resumed run's past."""
