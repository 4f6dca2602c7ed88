"""One training of a stage: a `nas train` run in a folder of its own, which moves the stage's bar."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.jobs.reproduce.pipeline import Context
from nas.jobs.train.prepare import prepare
from nas.jobs.train.run import run_job
from nas.jobs.train.settings import TrainSettings
from nas.runs import RunFolder, RunPlace
from nas.training.execution import default_execution
from nas.training.history import EpochRecord, Observer
from nas.training.tensorboard import TENSORBOARD, tensorboard_logs


class StageBar:
    """An observer that moves the stage's bar by steps, `done` trainings of `total` being over, and tells others."""

    def __init__(self, context: Context, done: int, total: int, epochs: int, others: Sequence[Observer] = ()) -> None:
        self._context, self._done, self._total, self._epochs, self._others = context, done, total, epochs, others

    def step_done(self, epoch: int, step: int, steps: int, images: int) -> None:
        """Move the bar."""
        self._context.report(self._done + (epoch - 1 + step / steps) / self._epochs, self._total)

    def epoch_done(self, record: EpochRecord) -> None:
        """Tell the others (TensorBoard)."""
        for other in self._others:
            other.epoch_done(record)


def train_once(context: Context, path: Path, settings: TrainSettings, *, done: int, total: int) -> dict[str, Any]:
    """Return the result of a training in the folder `path`: the one it holds, or that of what is left of it."""
    kept = RunFolder(path)
    if kept.is_complete:
        return kept.result()
    resume = (path / "settings.yaml").exists()
    job = prepare(settings, default_execution(context.settings.torch_device), RunPlace(path), resume=resume)
    watch = StageBar(context, done, total, job.recipe.epochs, tensorboard_logs(path / TENSORBOARD))
    with job.folder:
        return run_job(job, watch, checkpoint_seconds=30, export=False)
