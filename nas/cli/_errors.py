"""How a command ends when something goes wrong: one clear message on stderr and a status, no traceback.

Status 0: done. 1: failed for a reason outside what was asked (disk full, no permission). 2: a mistake in what was
asked. 130: interrupted.
"""

from __future__ import annotations

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from searchspace.support.errors import Note, UserError

FAILED = 1
USER_ERROR = 2
INTERRUPTED = 130

_HINTS = {
    errno.ENOSPC: "The disk is full: free some space, or choose another folder.",
    errno.EDQUOT: "Your disk quota is used up: free some space, or choose another folder.",
    errno.EACCES: "You may not write or read there: choose another folder, or change its permissions.",
    errno.EPERM: "You may not do that there: choose another folder, or change its permissions.",
    errno.EROFS: "That file system is read-only: choose another folder.",
}


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turn a user's mistake, a refusing file system and Ctrl-C into a message and an exit status; show notes."""
    try:
        with _notes_shown():
            yield
    except UserError as error:
        print_error(str(error))
        raise typer.Exit(USER_ERROR) from error
    except KeyboardInterrupt as interrupt:
        print_error(f"Interrupted. {interrupt}".strip())
        raise typer.Exit(INTERRUPTED) from interrupt
    except OSError as error:
        if error.errno == errno.EPIPE:  # `nas show ... | head`: typer ends this one quietly
            raise
        print_error(_describe(error))
        raise typer.Exit(FAILED) from error


@contextmanager
def _notes_shown() -> Iterator[None]:
    """Show a `Note` as one line on stderr, every other warning as Python does."""
    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, Note):
            typer.echo(f"Note: {message}", err=True)
        else:
            shown(message, category, *place, **more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = shown


@contextmanager
def resumable(saved: str) -> Iterator[None]:
    """Tell after Ctrl-C what is saved, and that `--resume` goes on, where the work interrupted did not say so."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        message = str(interrupt) or f"{saved}; the same command with --resume goes on from there."
        raise KeyboardInterrupt(message) from None


def print_error(message: str) -> None:
    """Show one message on stderr, wrapped to the terminal."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    console = Console(stderr=True)
    if console.is_terminal:
        console.print(Panel(Text(message), title="Error", title_align="left", border_style="red"))
    else:
        console.print(Text(f"Error: {message}"), soft_wrap=True)


def _describe(error: OSError) -> str:
    where = f" {error.filename}" if error.filename else ""
    reason = error.strerror or str(error)
    hint = _HINTS.get(error.errno or 0, "")
    return f"{reason}:{where}. {hint}".strip() if where else f"{reason}. {hint}".strip()
