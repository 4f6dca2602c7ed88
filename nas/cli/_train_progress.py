"""What `nas train` shows while it runs: a bar with images per second and time left, and a line per epoch."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from nas.cli._lines import TimedLines
from nas.training.evaluation import Accuracy
from nas.training.history import EpochRecord, Observer


class DecodingProgress:
    """Shows how many images are decoded (nothing where they come from the cache), or what else is done to them."""

    def __init__(self, console: Console, what: str = "decoding") -> None:
        self._bar = Progress(
            TextColumn(f"{what} images"), BarColumn(), TimeRemainingColumn(), console=console, transient=True
        )
        self._task: TaskID | None = None
        self._lines = None if console.is_terminal else TimedLines(console, f"{what} images")

    def __enter__(self) -> DecodingProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Move the bar, which appears with the first image; without a terminal a line now and then."""
        if self._lines is not None:
            self._lines.update(done, total)
            return
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task("", total=total)
        self._bar.update(self._task, completed=done, total=total)


class TrainProgress:
    """Shows a run of `epochs` epochs on a console and passes everything on to other observers."""

    def __init__(self, console: Console, epochs: int, others: tuple[Observer, ...] = ()) -> None:
        self.console, self.epochs, self.others = console, epochs, others
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=epochs, rate="")
        self._epoch, self._epoch_started, self._images = 0, time.monotonic(), 0
        self._lines = None if console.is_terminal else TimedLines(console, "training")

    def __enter__(self) -> TrainProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step_done(self, epoch: int, step: int, steps: int, images: int) -> None:
        """Move the bar."""
        if epoch != self._epoch:
            self._epoch, self._epoch_started, self._images = epoch, time.monotonic(), 0
        else:
            # The first step of an epoch only starts the clock: it may contain the last epoch's evaluation.
            self._images += images
        elapsed = time.monotonic() - self._epoch_started
        rate = f"{self._images / elapsed:.0f} images/s" if self._images else ""
        done = epoch - 1 + step / steps
        if self._lines is not None and done < self.epochs:
            self._lines.update(done, self.epochs, f"epoch {epoch} of {self.epochs}, {rate}".rstrip(", "))
        self._bar.update(self._task, completed=done, description=f"epoch {epoch}/{self.epochs}", rate=rate)
        for other in self.others:
            other.step_done(epoch, step, steps, images)

    def epoch_done(self, record: EpochRecord) -> None:
        """Print the epoch's line."""
        self._bar.update(self._task, completed=record.epoch)
        self.console.print(
            f"epoch {record.epoch:>3}/{self.epochs}  loss {record.train_loss:.4f}  "
            f"search {_shown(record)} %  lr {record.learning_rate:.4g}  "
            f"{record.images_per_second:.0f} images/s"
        )
        for other in self.others:
            other.epoch_done(record)


def _shown(record: EpochRecord) -> str:
    score = record.search
    return f"top-1 {score.top1:.2f}" if isinstance(score, Accuracy) else f"{score.metric} {score.value:.2f}"
