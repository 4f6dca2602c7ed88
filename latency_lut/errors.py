"""What a latency table refuses, as errors that the user can act on."""

from __future__ import annotations

from pathlib import Path

from searchspace.support.errors import UserError


class TableError(UserError):
    """A table file that cannot be believed; the message names the file and, where there is one, the line."""

    def __init__(self, path: str | Path, problem: str, line: int | None = None) -> None:
        place = f"{path}, line {line}" if line is not None else f"{path}"
        super().__init__(f"{place}: {problem}")
        self.path = Path(path)
        self.line = line


class UnmeasuredOp(UserError):
    """An operation that lies outside what a table has measured."""
