"""`nas report`: whether the latencies of finished runs hold by the tables of today."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from nas.cli._common import JsonOption, print_json

RunsArgument = Annotated[
    list[str], typer.Argument(metavar="RUN...", help="Folders of finished searches or NetAdapt runs.")
]


def report(runs: RunsArgument, json: JsonOption = False) -> None:
    """Does what a run says of latency still hold by the latency table that is used now?

    Tables are remade when more is measured or a better fit is found. A run's page keeps the figures it was made with;
    this says what they are today, and whether the budget is still kept.

    [bold]Examples[/bold]

      nas report runs/NAME
      nas report runs/* --json
    """
    from nas.report.repricing import reprice

    found = [reprice(run) for run in runs]
    if json:
        print_json({"runs": [{**asdict(one), "changed": one.changed, "keeps_limit": one.keeps_limit} for one in found]})
        return
    for one in found:
        typer.echo(f"{one.run}: {one}")
