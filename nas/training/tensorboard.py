"""A run's curves as TensorBoard event files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from nas.training.history import EpochRecord, Observer
from searchspace.support.errors import Note
from searchspace.support.optional import MissingPackage, optional_import

TENSORBOARD = "tensorboard"
"""The folder of events in a run's folder."""


def event_writer(folder: Path) -> Any:
    """Return a writer of events below `folder`; None, with a note, where TensorBoard is not installed."""
    try:
        tensorboard = optional_import("torch.utils.tensorboard", purpose="TensorBoard", extra="tensorboard")
    except MissingPackage as error:
        warnings.warn(f"no TensorBoard events are written: {error}", Note, stacklevel=2)
        return None
    return tensorboard.SummaryWriter(str(folder), purge_step=0)


def tensorboard_logs(folder: Path) -> tuple[Observer, ...]:
    """Return an observer that writes below `folder`; none, with a note, where TensorBoard is not installed."""
    writer = event_writer(folder)
    return () if writer is None else (TensorBoardLog(writer),)


class TensorBoardLog:
    """Writes every epoch's numbers; a resumed run writes its past again in place of the old
    events."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def step_done(self, epoch: int, step: int, steps: int, images: int) -> None:
        """Do nothing: epochs are fine-grained enough."""

    def epoch_done(self, record: EpochRecord) -> None:
        """Write one epoch."""
        values = {
            "loss/training": record.train_loss,
            "loss/search": record.accuracy.loss,
            "top1/training": record.train_top1,
            "top1/search": record.accuracy.top1,
            "top5/search": record.accuracy.top5,
            "learning_rate": record.learning_rate,
            "images_per_second": record.images_per_second,
        }
        for name, value in values.items():
            self._writer.add_scalar(name, value, record.epoch)
        self._writer.flush()
