"""The measurements of an unfinished run: a log with one line each, so that a killed run loses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latency_lut.measure.backend import Task, task_key, task_of
from latency_lut.measure.references import References
from searchspace.support.errors import UserError
from searchspace.support.log import Entry, Log, LogKind, damaged

KIND = LogKind(format="measurements/3", name="measurement journal")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One task's time in ms as it was read, its standard deviation relative to it, timed runs, and the references.

    The standard deviation is that of the figure; `spread` is that of a single run, relative to the median. The
    references were timed around the task.
    """

    latency_ms: float
    deviation: float
    runs: int
    references: References
    spread: float = 0.0


class MeasurementLog:
    """Append-only file of measurements under one set of conditions."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        """Continue the journal at `path`, or begin it.

        Raises UserError when the file was begun under another header, naming what differs, or is damaged anywhere but
        in its last line, which a killed run may have left incomplete.
        """
        self.path = path
        self._log = Log.open(KIND, path, header)
        self.measurements = dict(_measurement(entry, path) for entry in self._log.entries)

    def append(self, measurements: Mapping[Task, Measurement]) -> None:
        """Add measurements; they are on disk when this returns."""
        self._log.append(*(_document(task, entry) for task, entry in measurements.items()))
        self.measurements |= measurements

    def close(self) -> None:
        """Close the file; it stays where it is."""
        self._log.close()

    def remove(self) -> None:
        """Delete the file: the measurements live on in the finished table."""
        self.close()
        self.path.unlink(missing_ok=True)


def _document(task: Task, entry: Measurement) -> dict[str, Any]:
    return {
        "task": task_key(task),
        "latency_ms": entry.latency_ms,
        "deviation": entry.deviation,
        "runs": entry.runs,
        "spread": entry.spread,
        "references_ms": list(entry.references.times_ms),
    }


def _measurement(entry: Entry, path: Path) -> tuple[Task, Measurement]:
    document = dict(entry.document)
    try:
        task = task_of(document.pop("task", None))
        references = References(tuple(document.pop("references_ms", ())))
        found = Measurement(**document, references=references)
        valid = all(0 <= value < 1e6 for value in (found.latency_ms, found.deviation, found.runs, found.spread))
    except (TypeError, UserError):
        valid = False
    if not valid:
        raise damaged(KIND, path, entry.line, "not a measurement")
    return task, found
