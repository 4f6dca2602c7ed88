"""`nas compare`: strategies against each other at equal evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nas.cli._common import JsonOption, SpaceOption, note_console, output_console, print_json

EvaluatorOption = Annotated[
    str,
    typer.Option("--evaluator", metavar="SOURCE", help="table:FILE of known accuracies, or predictor."),
]
EvaluationsOption = Annotated[
    int, typer.Option("--evaluations", metavar="N", help="Distinct networks for each search.")
]
SeedsOption = Annotated[int, typer.Option("--seeds", metavar="N", help="Searches with each strategy: seeds 0 to N-1.")]
StrategyOption = Annotated[
    list[str] | None, typer.Option("--strategy", help="One to compare; repeat it. Default: all that fit.")
]
OptionalDevice = Annotated[
    str | None, typer.Option("--device", metavar="DEVICE", help="Latency in the place of multiply-adds.")
]
OptionalBudget = Annotated[
    str | None, typer.Option("--budget", metavar="TIME", help="Latency that the best network keeps, such as 60ms.")
]
OutOption = Annotated[str | None, typer.Option("--out", metavar="DIR", help="Folder; default: runs/compare-SPACE.")]


def compare(
    evaluator: EvaluatorOption,
    space: SpaceOption = "macro",
    evaluations: EvaluationsOption = 200,
    seeds: SeedsOption = 10,
    strategy: StrategyOption = None,
    device: OptionalDevice = None,
    budget: OptionalBudget = None,
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Compare search strategies at equal evaluations, on known accuracies or on the predictor.

    Each strategy searches with several seeds. The table gives mean regret (points below the best network) and mean
    hypervolume with 95 % intervals, and whether a strategy is better or worse than random search; the folder gets
    the curves over time as picture, CSV and page.

    [bold]Examples[/bold]

      nas compare --space macro --evaluator table:macro_space_cifar10.csv --evaluations 200 --seeds 10
      nas compare --space mobilenetv3 --evaluator predictor --device pixel --budget 60ms --evaluations 1000 --seeds 4
    """
    from nas.jobs.compare.files import write_compare_files
    from nas.jobs.compare.problem import open_problem
    from nas.jobs.compare.run import compare_strategies, summarise
    from nas.jobs.compare.settings import CompareSettings
    from nas.runs import RunFolder, run_place
    from searchspace.support.quantities import parse_duration_ms

    settings = CompareSettings(
        space=space,
        evaluator=evaluator,
        evaluations=evaluations,
        seeds=seeds,
        strategies=tuple(strategy or ()),
        device=device,
        budget_ms=None if budget is None else parse_duration_ms(budget),
    )
    problem = open_problem(settings)
    place = run_place(out=out, name=None, default=f"compare-{Path(space).stem}", resume=False)
    with RunFolder.create(place, settings.as_dict(), "compare") as folder:
        result = summarise(settings, problem, compare_strategies(settings, problem, _told))
        write_compare_files(folder, result)
    if json:
        print_json(result)
    else:
        _print_result(result, folder.path)


def _told(name: str, done: int, out_of: int) -> None:
    note_console().print(f"{done:3d} of {out_of} searches: {name}", markup=False)


def _print_result(result: dict[str, Any], place: Path) -> None:
    from rich.table import Table

    from nas.jobs.compare.page import COLUMNS, notes, table_rows

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, name in enumerate(COLUMNS):
        table.add_column(name, justify="left" if number in (0, 6) else "right", no_wrap=True)
    for row in table_rows(result):
        table.add_row(*row)
    console = output_console()
    console.width = max(console.width, 112)  # a table cut off in a pipe would help nobody
    console.print(table)
    console.print("\n" + "\n".join([*notes(result), f"Written to {place}."]), markup=False, highlight=False)
