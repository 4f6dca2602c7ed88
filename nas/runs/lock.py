"""One process at a time works on a run: a lock that ends with its process, and says who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from searchspace.support.errors import UserError
from searchspace.support.json_text import read_json_object

LOCK = "lock"
_TRIES = 4  # `nas runs` looks at a lock by taking it for a moment
_PAUSE_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The process that holds a lock, and since when (local time)."""

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"


class RunLock:
    """A held lock. The system drops it when the process ends, however it ends; forked workers do not inherit it."""

    def __init__(self, folder: Path) -> None:
        """Take the lock of a folder; raises UserError saying who holds it, OSError where it cannot be written."""
        self._path = folder / LOCK
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if not _taken(self._descriptor):
            os.close(self._descriptor)
            raise UserError(
                f"{folder} is being worked on by {_holder(self._path) or 'another process'}: "
                "wait until that has ended, or end it first"
            )
        me = Holder(pid=os.getpid(), host=socket.gethostname(), since=f"{datetime.now():%Y-%m-%d %H:%M:%S}")
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, (json.dumps(asdict(me)) + "\n").encode(), 0)

    def release(self) -> None:
        """Let go of the lock; a second call does nothing. The file stays: deleting it could let two in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def remove(self) -> None:
        """Delete the lock's file, of a run that is finished and that nobody works on any more; it stays taken here."""
        self._path.unlink(missing_ok=True)


def holder_of(folder: Path) -> Holder | None:
    """Return which other process works on a run, None where none does."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _holder(folder / LOCK) or Holder(pid=0, host="unknown", since="unknown")
    finally:
        os.close(descriptor)
    return None


def _taken(descriptor: int) -> bool:
    for attempt in range(_TRIES):
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            if attempt < _TRIES - 1:
                time.sleep(_PAUSE_S)
        else:
            return True
    return False


def _holder(path: Path) -> Holder | None:
    try:
        return Holder(**read_json_object(path, "lock"))
    except (UserError, TypeError):
        return None
