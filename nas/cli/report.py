"""`nas report`: whether the latencies of finished runs hold by the tables of today."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nas.cli._common import JsonOption, print_json

RunsArgument = Annotated[
    list[str], typer.Argument(metavar="RUN...", help="Folders of finished searches or NetAdapt runs.")
]


def report(runs: RunsArgument, json: JsonOption = False) -> None:
    """Make the page of a run anew, and say whether its latencies hold by the table that is used now.

    Tables are remade when more is measured or a better fit is found. `result.json` keeps the figures it was made with;
    this says what they are today, and whether the budget is still kept. A search's report.html is made again, by the
    tables of today, from its journal; nothing is searched again.

    [bold]Examples[/bold]

      nas report runs/NAME
      nas report runs/* --json
    """
    from nas.report.repricing import reprice

    found = [reprice(run) for run in runs]
    if json:
        for one in found:
            _rebuilt(one.run)
        print_json({"runs": [{**asdict(one), "changed": one.changed, "keeps_limit": one.keeps_limit} for one in found]})
        return
    for one in found:
        typer.echo(f"{one.run}: {one}")
        if (page := _rebuilt(one.run)) is not None:
            typer.echo(f"{one.run}: {page} was made again")


def _rebuilt(run: str) -> Path | None:
    """Make the page of a search anew; None for other runs, and for those of before commands were noted."""
    from nas.jobs.search.rebuild import rebuild_page
    from nas.runs import RunFolder

    folder = RunFolder(run)
    return rebuild_page(folder) if folder.about().get("job") == "search" else None
