"""`nas report`: the pages of finished runs made anew, and whether their latencies hold by the tables of today."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli._common import JsonOption, print_json
from searchspace.support.errors import UserError

if TYPE_CHECKING:
    from nas.report.repricing import Repriced

RunsArgument = Annotated[list[str], typer.Argument(metavar="RUN...", help="Folders of finished runs, of any command.")]


def report(runs: RunsArgument, json: JsonOption = False) -> None:
    """Make the page of a run anew, and say whether its latencies hold by the table that is used now.

    The page is made from what lies in the run's folder; nothing is searched or trained again. Of a run whose result has
    a latency (searches, NetAdapt) this says what it is by today's table, and whether the budget is still kept: tables
    are remade when more is measured or a better fit is found. `result.json` keeps the figures it was made with; a
    search's page shows today's.

    [bold]Examples[/bold]

      nas report runs/NAME
      nas report runs/* --json
    """
    found = [_remade(run) for run in runs]
    if json:
        print_json({"runs": [_plain(*one) for one in found]})
        return
    for run, page, priced in found:
        if priced is not None:
            typer.echo(f"{run}: {priced}")
        if isinstance(page, UserError):
            typer.echo(f"{run}: its page stays as it is: {page}", err=True)
        else:
            typer.echo(f"{run}: {page} was made again")


def _remade(run: str) -> tuple[str, Path | UserError, Repriced | None]:
    """Return a run, its page made anew or why it was not, and its result by today's table where it has a latency.

    Raises UserError where neither can be had.
    """
    from nas.jobs.rebuild import rebuild_page
    from nas.report.repricing import has_latency, reprice
    from nas.runs import RunFolder

    folder = RunFolder(run)
    priced = reprice(run) if has_latency(folder.result()) else None
    try:
        return run, rebuild_page(folder), priced
    except UserError as error:
        if priced is None:
            raise
        return run, error, priced


def _plain(run: str, page: Path | UserError, priced: Repriced | None) -> dict[str, Any]:
    made: dict[str, Any] = {"run": run, "page": None if isinstance(page, UserError) else str(page)}
    if priced is None:
        return made
    return made | {**asdict(priced), "changed": priced.changed, "keeps_limit": priced.keeps_limit}
