"""Tasks that show what an engine has to stand: for its tests, importable by its workers."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from searchspace.support.errors import UserError


def later_is_faster(shared: float, index: int) -> int:
    """Take a fraction of `shared` seconds, the first task longest."""
    time.sleep(shared / (index + 1))
    return index * 10


def refuse(shared: None, index: int) -> int:
    """Raise."""
    raise UserError(f"task {index} cannot be done")


def die_once(folder: str, index: int) -> tuple[int, float]:
    """Kill this worker the first time task 1 runs; return when the task ran to its end."""
    marker = Path(folder) / "died"
    if index == 1 and not marker.exists():
        marker.write_text(str(time.time()))
        os.kill(os.getpid(), signal.SIGKILL)
    return index, time.time()


def hang_once(folder: str, index: int) -> int:
    """Sleep for a minute the first time task 1 runs."""
    marker = Path(folder) / "hung"
    if index == 1 and not marker.exists():
        marker.touch()
        time.sleep(60)
    return index


def always_die(shared: None, index: int) -> int:
    """Kill this worker."""
    os.kill(os.getpid(), signal.SIGKILL)
    return index


def process_id(shared: None, index: int) -> int:
    """Return where this ran."""
    return os.getpid()


def sleep(shared: None, seconds: float) -> float:
    """Take `seconds`."""
    time.sleep(seconds)
    return seconds
