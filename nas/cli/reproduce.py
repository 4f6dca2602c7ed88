"""`nas reproduce`: run a paper's experiment as a pipeline of the project's own jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nas.cli._common import JsonOption, note_console, note_versions, output_console, print_json
from nas.cli._options import Given, options_from
from nas.cli._run_options import RunOptions, run_to_resume
from nas.jobs.reproduce.settings import ReproduceSettings

if TYPE_CHECKING:
    from rich.progress import Progress

    from nas.jobs.reproduce.pipeline import Report, Watch


@options_from(ReproduceSettings, RunOptions, out={"otherwise": "runs/EXPERIMENT-SCALE"})
def reproduce(given: Given, json: JsonOption = False) -> None:
    """Run a paper's experiment and set its figures beside the paper's.

    Each part is a run in a folder of its own below --out; a part that finished is not run again. The page grows with
    every part. What a scale makes smaller than the paper is said with each part.

    [bold]Examples[/bold]

      nas reproduce mobilenetv3 --scale quick --out runs/v3-quick
      nas reproduce mobilenext --data cifar10:PATH
      nas reproduce netadapt-truth --table channel_widths_cifar10.csv
      nas reproduce pretrained --data cifar10:PATH --weights mobilenet_v2.tflite
      nas reproduce --resume runs/v3-quick         go on after an interruption
    """
    from nas.engines import watching_engine
    from nas.jobs.reproduce.experiments import EXPERIMENTS, experiment
    from nas.jobs.reproduce.pipeline import open_experiment, run_experiment
    from nas.runs import run_place
    from nas.runs.folder import REPORT

    resume, whole = given["resume"], given["experiment"] in EXPERIMENTS
    run = run_to_resume(given, "reproduce", named_by="experiment", whole=whole)
    settings = given.make(ReproduceSettings) if run is None else run.made(ReproduceSettings)
    chosen = experiment(settings.experiment)
    out = given["out"] if run is None else run.path
    place = run_place(out=out, name=None, default=f"{settings.experiment}-{settings.scale}", resume=resume)
    folder = open_experiment(settings, place, resume=resume)
    note_versions(folder.changed_versions)
    if folder.is_complete:
        note_console().print(f"The experiment in {folder.path} is already finished.", markup=False)
        result = folder.result()
    else:
        try:
            with folder, watching_engine() as engine, _watching() as watch:
                result = run_experiment(chosen, settings, folder, watch, engine)
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
