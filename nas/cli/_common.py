"""What every command shares: its arguments' meaning, JSON on stdout, everything meant for eyes through rich.

Stdout carries the answer; progress and notes go to stderr, so `--json` output can be piped as it is.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

NetworkArgument = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK",
        help="A reference name, a YAML file, a run folder, or compact text.",
        show_default=False,
    ),
]
DeviceOption = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="A phone from `nas devices`, or a table file.")
]
SpaceOption = Annotated[
    str,
    typer.Option("--space", metavar="SPACE", help="A space from `nas spaces`, or a YAML file of your own."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="The same seed gives the same result.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout instead of a table.")]
TorchDeviceOption = Annotated[
    str | None, typer.Option("--torch-device", help="cpu, cuda, cuda:1, …; default: a GPU where there is one.")
]
DropStridesOption = Annotated[
    int | None,
    typer.Option(
        "--drop-strides",
        metavar="N",
        help="Set the first N strides of 2 to 1; default: 0, and on images under 64 px as many as they need.",
    ),
]
AnySpeedOption = Annotated[
    bool, typer.Option("--any-speed", help="The times are milliseconds, however far from any known phone.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace a file that exists.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]


def print_json(document: Any) -> None:
    """Print one JSON document on stdout, the only thing a `--json` command prints there."""
    typer.echo(json.dumps(document, indent=2, allow_nan=False))


def output_console() -> Console:
    """Return the console for a command's answer (stdout); no text is markup, foreign or ours: use `style`."""
    from rich.console import Console

    return Console(highlight=False, markup=False)


def note_console() -> Console:
    """Return the console for progress and notes (stderr)."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False)


def print_warnings(warnings: Iterable[str]) -> None:
    """Say loudly, on stderr, what is wrong with a result."""
    from rich.text import Text

    for warning in warnings:
        note_console().print(Text(f"WARNING: {warning}", style="bold red"), soft_wrap=True)


def note_versions(changed: tuple[str, ...]) -> None:
    """Say, on resuming, which versions are not those the run was started with: it may end in another result."""
    if changed:
        note_console().print(
            "Note: this run was started by other versions; it may end in another result than an unbroken run:\n  "
            + "\n  ".join(changed),
            markup=False,
        )


def print_command(*words: object) -> None:
    """Print a command to go on with, quoted for a shell and on one line, so that it can be pasted as it stands."""
    output_console().print(f"  {shlex.join(map(str, words))}", markup=False, soft_wrap=True)


def network_title(network: str) -> str:
    """Return what to call a network given as NETWORK: its name or path, or for compact text its first tokens."""
    return network if "," not in network else f"{network[:24]}..."
