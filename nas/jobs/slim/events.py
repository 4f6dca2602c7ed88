"""A slimming run's steps and final trainings as TensorBoard event files."""

from __future__ import annotations

from typing import Any

from nas.jobs.slim.run import SlimObserver
from nas.jobs.slim.tuning import FinalOutcome
from nas.runs import RunFolder
from nas.training.tensorboard import TENSORBOARD, event_writer
from netadapt.iterations import Step


class SlimEvents:
    """Writes what an `SlimObserver` is told below the run's folder and passes it on; one set of curves for each phase.

    A resumed run is told its past steps again and writes them in place of the old events.
    """

    def __init__(self, folder: RunFolder, other: SlimObserver) -> None:
        self._folder, self._other = folder, other
        self._writer: Any = None

    def phase(self, name: str) -> None:
        """Start the curves of a phase."""
        self._writer = event_writer(self._folder.file(TENSORBOARD) / name.replace(" ", "-").replace("/", "-"))
        self._other.phase(name)

    def proposals(self, finished: int, of: int) -> None:
        """Pass on: proposals are no curve."""
        self._other.proposals(finished, of)

    def step(self, step: Step) -> None:
        """Write cost and search-split top-1 after a step."""
        self._write({"cost": step.cost, "top1/search": step.accuracy}, step.step)
        self._other.step(step)

    def final(self, name: str, outcome: FinalOutcome, finished: int, of: int) -> None:
        """Write the test top-1 of a finished network."""
        self._write({f"top1/test {name}": outcome.test.top1}, finished)
        self._other.final(name, outcome, finished, of)

    def _write(self, values: dict[str, float], at: int) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, at)
            self._writer.flush()
