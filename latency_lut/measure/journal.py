"""The measurements of an unfinished run: a log with one line each, so that a killed run loses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from latency_lut.measure.backend import Task, task_key, task_of
from searchspace.support.errors import UserError
from searchspace.support.log import Entry, Log, LogKind, damaged

KIND = LogKind(format="measurements/2", name="measurement journal", older=("measurements/1",))


@dataclass(frozen=True, slots=True)
class Measurement:
    """One task's time in ms as it was read, relative spread, timed runs, and the reference op's time around it."""

    latency_ms: float
    spread: float
    runs: int
    reference_ms: float


class Journal:
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
        self._log.append(*({"task": task_key(task), **asdict(entry)} for task, entry in measurements.items()))
        self.measurements |= measurements

    def close(self) -> None:
        """Close the file; it stays where it is."""
        self._log.close()

    def remove(self) -> None:
        """Delete the file: the measurements live on in the finished table."""
        self.close()
        self.path.unlink(missing_ok=True)


def _measurement(entry: Entry, path: Path) -> tuple[Task, Measurement]:
    document = dict(entry.document)
    try:
        task = task_of(document.pop("task", None))
        found = Measurement(**document)
        valid = all(0 <= value < 1e6 for value in (found.latency_ms, found.spread, found.runs))
        valid = valid and 0 < found.reference_ms < 1e6
    except (TypeError, UserError):
        valid = False
    if not valid:
        raise damaged(KIND, path, entry.line, "not a measurement")
    return task, found
