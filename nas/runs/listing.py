"""The runs below a folder: of which command, how far, and what each one found."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.runs.folder import SETTINGS, RunFolder
from nas.runs.lock import holder_of
from searchspace.support.errors import UserError

FINISHED, RUNNING, INTERRUPTED = "finished", "running", "interrupted"


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run; `age_s` is the time since a file of it was written, `problem` says why a run cannot be read."""

    path: str
    job: str
    state: str
    holder: str
    top1: float | None
    latency_ms: float | None
    age_s: float
    problem: str = ""


def list_runs(below: Path) -> list[RunRecord]:
    """Return the runs in a folder, the one written to last first; folders that hold no run are left out."""
    if not below.is_dir():
        return []
    records = [_record(path.parent) for path in below.glob(f"*/{SETTINGS}")]
    return sorted(records, key=lambda record: (record.age_s, record.path))


def _record(path: Path) -> RunRecord:
    folder, holder = RunFolder(path), holder_of(path)
    problem, result, job = "", {}, ""
    try:
        result = folder.result() if folder.is_complete else {}
        job = str(folder.about().get("job", ""))
    except UserError as error:
        problem = str(error)
    return RunRecord(
        path=str(path),
        job=job,
        state=RUNNING if holder else FINISHED if folder.is_complete else INTERRUPTED,
        holder=str(holder) if holder else "",
        top1=_number(result.get("top1"), result.get("test"), result.get("trained")),
        latency_ms=_number(result.get("latency_ms")),
        age_s=max(0.0, time.time() - max(file.stat().st_mtime for file in path.iterdir() if file.exists())),
        problem=problem,
    )


def _number(*found: Any) -> float | None:
    """Return the tested top-1 where there is one, else the first number."""
    for value in reversed(found):
        if isinstance(value, dict):
            inner = _number(value.get("top1"), value.get("test"))
            if inner is not None:
                return inner
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None
