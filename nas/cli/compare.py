"""`nas compare`: strategies against each other at equal evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.cli._common import JsonOption, note_console, note_versions, output_console, print_json
from nas.cli._errors import resumable
from nas.cli._options import Given, options_from
from nas.cli._run_options import ResumedRun, RunOptions, run_to_resume
from nas.jobs.compare.settings import CompareSettings


@options_from(ResumedRun, CompareSettings, RunOptions, out={"otherwise": "runs/compare-SPACE"})
def compare(given: Given, json: JsonOption = False) -> None:
    """Compare search strategies at equal evaluations, on known accuracies or on the predictor.

    Each strategy searches with several seeds. The table gives mean regret (points below the best network) and mean
    hypervolume with 95 % intervals, and whether a strategy is better or worse than random search; the folder gets
    the curves over time as picture, CSV and page.

    [bold]Examples[/bold]

      nas compare --space macro --evaluator table:macro_space_cifar10.csv --evaluations 200 --seeds 10
      nas compare --space mobilenetv3 --evaluator predictor --device pixel --budget 60ms --evaluations 1000 --seeds 4
      nas compare --resume runs/compare-macro      go on after an interruption, search by search
    """
    from nas.jobs.compare.files import write_compare_files
    from nas.jobs.compare.journal import Traces
    from nas.jobs.compare.problem import open_problem
    from nas.jobs.compare.run import compare_strategies, summarise
    from nas.runs import RunFolder, run_place
    from nas.runs.folder import JOURNAL

    run, resume = run_to_resume(given, "compare"), given["resume"]
    settings = given.make(CompareSettings) if run is None else run.made(CompareSettings)
    problem = open_problem(settings)
    out = given["run"] or given["out"]
    place = run_place(out=out, name=None, default=f"compare-{Path(settings.space).stem}", resume=resume)
    chosen = settings.as_dict()
    folder = RunFolder.reopen(place, chosen) if resume else RunFolder.create(place, chosen, "compare")
    note_versions(folder.changed_versions)
    if folder.is_complete:
        note_console().print(f"The comparison in {folder.path} is already finished.", markup=False)
        result = folder.result()
    else:
        header = {**chosen, "truth_sha256": problem.fingerprint}
        saved = f"The finished searches are saved in {folder.path}"
        with folder, resumable(saved), Traces.open(folder.file(JOURNAL), header) as finished:
            result = summarise(settings, problem, compare_strategies(settings, problem, _told, finished))
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
