"""`nas reproduce`: run a paper's experiment as a pipeline of the project's own jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli._common import (
    JsonOption,
    ResumeOption,
    SeedOption,
    note_console,
    note_versions,
    output_console,
    print_json,
)
from nas.data_kinds import DATA_KINDS

if TYPE_CHECKING:
    from rich.progress import Progress

    from nas.jobs.reproduce.pipeline import Report, Watch

ExperimentArgument = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT", help="mobilenetv3, mobilenext, netadapt-truth, pretrained or phones.", show_default=False
    ),
]
ScaleOption = Annotated[
    str,
    typer.Option("--scale", help="quick (minutes), default (an evening on two cores), or full (the paper's own)."),
]
DataOption = Annotated[
    str | None, typer.Option("--data", metavar="DATA", help=f"{DATA_KINDS}; default: digits.", show_default=False)
]
TableOption = Annotated[
    str | None, typer.Option("--table", metavar="FILE", help="Known accuracies that netadapt-truth and phones look up.")
]
WeightsOption = Annotated[
    str | None, typer.Option("--weights", metavar="FILE", help="Pretrained weights to start from where possible.")
]
LatenciesOption = Annotated[
    str | None,
    typer.Option("--latencies", metavar="FOLDER", help="Published latencies, to fit tables anew without each row."),
]
OutOption = Annotated[
    str | None, typer.Option("--out", metavar="DIR", help="Folder of the run; default: runs/EXPERIMENT-SCALE.")
]


def reproduce(
    name: ExperimentArgument,
    scale: ScaleOption = "default",
    data: DataOption = None,
    table: TableOption = None,
    weights: WeightsOption = None,
    latencies: LatenciesOption = None,
    out: OutOption = None,
    resume: ResumeOption = False,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Run a paper's experiment and set its figures beside the paper's.

    Each part is a run in a folder of its own below --out; a part that finished is not run again. The page grows with
    every part. What a scale makes smaller than the paper is said with each part.

    [bold]Examples[/bold]

      nas reproduce mobilenetv3 --scale quick --out runs/v3-quick
      nas reproduce mobilenext --data cifar10:PATH
      nas reproduce netadapt-truth --table channel_widths_cifar10.csv
      nas reproduce pretrained --data cifar10:PATH --weights mobilenet_v2.tflite
      nas reproduce mobilenetv3 --out runs/v3-quick --scale quick --resume
    """
    from nas.jobs.reproduce.experiments import experiment
    from nas.jobs.reproduce.pipeline import open_experiment, run_experiment
    from nas.jobs.reproduce.settings import ReproduceSettings, chosen_scale
    from nas.runs import run_place
    from nas.runs.folder import REPORT

    chosen = experiment(name)
    settings = ReproduceSettings(
        experiment=name,
        scale=chosen_scale(scale),
        data=data,
        table=table,
        weights=weights,
        latencies=latencies,
        seed=seed,
    )
    place = run_place(out=out, name=None, default=f"{name}-{scale}", resume=resume)
    folder = open_experiment(settings, place, resume=resume)
    note_versions(folder.changed_versions)
    if folder.is_complete:
        note_console().print(f"The experiment in {folder.path} is already finished.", markup=False)
        result = folder.result()
    else:
        try:
            with folder, _watching() as watch:
                result = run_experiment(chosen, settings, folder, watch)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Every finished part is in {folder.path}; the same command with --resume goes on."
            ) from None
    if json:
        print_json(result | {"folder": str(folder.path)})
    else:
        _print_result(result)
        output_console().print(f"written to {folder.path}; read {folder.file(REPORT)}", markup=False, soft_wrap=True)


@contextmanager
def _watching() -> Iterator[Watch]:
    """Show a bar for the stage at hand, and a line for each that is finished."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from nas.jobs.reproduce.pipeline import Watch

    console = note_console()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:

        @contextmanager
        def stage(title: str) -> Iterator[Report]:
            with _bar(bars, title) as report:
                yield report
            console.print(f"done: {title}", markup=False)

        yield Watch(stage=stage, say=lambda line: console.print(line, markup=False, soft_wrap=True))


@contextmanager
def _bar(bars: Progress, title: str) -> Iterator[Report]:
    task = bars.add_task(title.replace("[", "\\["), total=1.0)
    try:
        yield lambda done, total: bars.update(task, completed=done, total=total)
    finally:
        bars.remove_task(task)


def _print_result(result: dict[str, Any]) -> None:
    for findings in result["stages"].values():
        if findings["comparisons"]:
            rows = [(one["what"], one["paper"], one["ours"], one["why"]) for one in findings["comparisons"]]
            _print_table("", ("", "paper", "ours", "why they differ"), rows, 1)
        for table in findings["tables"]:
            _print_table(table["title"], table["columns"], table["rows"], table["numbers"])
        for line in findings["text"]:
            output_console().print(line, markup=False)


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title) if title else None, title_justify="left", box=None)
    for number, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if number >= numbers else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    output_console().print(table)
