"""`nas runs`: what runs there are, how far each is, what it found; and removing one."""

from __future__ import annotations

import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli._common import JsonOption, output_console, print_json
from searchspace.support.quantities import milliseconds

if TYPE_CHECKING:
    from nas.runs.listing import RunRecord

ActionArgument = Annotated[
    str | None, typer.Argument(metavar="[rm]", help="Nothing lists the runs; rm removes those named after it.")
]
NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="[RUN]...", help="With rm: names or folders.")]
InOption = Annotated[str, typer.Option("--in", metavar="DIR", help="The folder that holds the runs.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")]


def runs(
    action: ActionArgument = None,
    names: NamesArgument = None,
    below: InOption = "runs",
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """The runs in a folder: state, best result, age; or remove some.

    A run is finished, running (another process works on it) or interrupted (`--resume` goes on with it). Top-1 is the
    tested one where a network was trained, else the score of the search.

    [bold]Examples[/bold]

      nas runs
      nas runs --json
      nas runs rm pixel-60ms-mobilenetv3
    """
    from nas.runs.listing import list_runs
    from searchspace.support.errors import UserError

    if action == "rm":
        _remove(names or [], Path(below), yes)
    elif action is not None:
        raise UserError(f"nas runs {action!r}: expected nothing, to list the runs, or rm RUN, to remove one")
    elif json:
        print_json({"runs": [asdict(record) for record in list_runs(Path(below))]})
    else:
        _print(list_runs(Path(below)), below)


def _print(records: list[RunRecord], below: str) -> None:
    from rich.table import Table
    from rich.text import Text

    if not records:
        output_console().print(f"No runs in {below}.", markup=False)
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("run", "command", "state", "top-1", "latency", "last written"):
        table.add_column(name, justify="right" if name in ("top-1", "latency") else "left")
    for one in records:
        table.add_row(
            Text(one.path),
            Text(one.job),
            Text(one.problem or (f"{one.state}: {one.holder}" if one.holder else one.state)),
            "" if one.top1 is None else f"{one.top1:.2f} %",
            "" if one.latency_ms is None else f"{milliseconds(one.latency_ms)} ms",
            f"{_age(one.age_s)} ago",
        )
    output_console().print(table)


def _age(seconds: float) -> str:
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{int(seconds)} s"


def _remove(names: list[str], below: Path, yes: bool) -> None:
    """Remove runs, each after a question; raises UserError, before any is touched, for what is no run or is running."""
    from nas.runs import holder_of
    from nas.runs.folder import SETTINGS
    from searchspace.support.errors import UserError

    if not names:
        raise UserError("nas runs rm needs the name or folder of a run: nas runs lists them")
    folders = [below / name if (below / name / SETTINGS).is_file() else Path(name) for name in names]
    for folder in folders:
        if not (folder / SETTINGS).is_file():
            raise UserError(f"{folder} holds no run (no {SETTINGS}): nothing was removed")
        if holder := holder_of(folder):
            raise UserError(f"{folder} is being worked on by {holder}: nothing was removed")
    for folder in folders:
        if not yes and not sys.stdin.isatty():
            raise UserError(f"removing {folder} needs your word for it: answer on a terminal, or add --yes")
        if yes or typer.confirm(f"Remove {folder} and everything in it?"):
            shutil.rmtree(folder)
            output_console().print(f"removed {folder}", markup=False)
