"""`nas rank`: how well a supernet ranks networks, beside size and latency alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.cli._common import JsonOption, note_console, note_versions, output_console, print_json, print_warnings
from nas.cli._errors import resumable
from nas.cli._options import Given, options_from
from nas.cli._run_options import ResumedRun, RunOptions, StartedRun, run_to_resume
from nas.jobs.rank.settings import RankSettings
from nas.supernets.settings import SupernetSettings


@options_from(
    ResumedRun,
    RankSettings,
    SupernetSettings,
    RunOptions,
    mode={"help": "single-path, fair, sandwich or shrinking."},
    out={"otherwise": "runs/rank-SPACE-DATA"},
    # There is no winner to train.
    winner_epochs=None,
    from_scratch=None,
)
def rank(given: Given, json: JsonOption = False) -> None:
    """Compare a supernet's ranking of networks with the truth.

    The truth is a file of known accuracies, or each network trained on its own on the same images. Kendall's tau and
    Spearman's rho come with 95 % bootstrap intervals, over all networks and over the best tenth, and always beside
    those of multiply-adds alone and of latency alone.

    [bold]Examples[/bold]

      nas rank --data digits --space mobile
      nas rank --data imagefolder:PATH --weights mobilenet_v2.tflite --image-size 96
      nas rank --data cifar10:PATH --space macro --against macro_space_cifar10.csv --networks 300
      nas rank --resume runs/NAME                  go on after an interruption
    """
    from nas.cli._search_display import run_progress
    from nas.jobs.rank.run import open_inputs
    from nas.jobs.rank.run import rank as run_rank
    from nas.runs import RunFolder, run_place

    run, resume = run_to_resume(given, "rank"), given["resume"]
    settings = _asked(given) if run is None else _started_with(run)
    default = f"rank-{Path(settings.space).stem}-{settings.supernet.data.partition(':')[0]}"
    place = run_place(out=given["run"] or given["out"], name=None, default=default, resume=resume)
    inputs = open_inputs(settings)
    chosen = settings.as_dict()
    folder = RunFolder.reopen(place, chosen) if resume else RunFolder.create(place, chosen, "rank")
    note_versions(folder.changed_versions)
    if folder.is_complete:
        note_console().print(f"{folder.path} is already finished; nothing to do.", markup=False)
        result = folder.result()
    else:
        with folder, resumable(f"What was done is saved in {folder.path}"), run_progress() as watch:
            result = run_rank(settings, inputs, folder, watch)
    print_warnings(result.get("warnings", ()))
    if json:
        print_json(result)
    else:
        _print_result(result, folder.path)


def _asked(given: Given) -> RankSettings:
    """Return what the options ask for: pretrained weights bring a space along, and so does `around:RUN` its weights."""
    from nas.supernets.pretrained import space_and_weights

    space = given["space"] if given.was_given("space") else None
    space, weights = space_and_weights(space, given["weights"], given["image_size"], given["space"])
    return given.make(RankSettings, space=space, supernet=given.make(SupernetSettings, weights=weights))


def _started_with(run: StartedRun) -> RankSettings:
    images = StartedRun(run.path, run.settings.get("supernet") or {}, {})
    return run.made(RankSettings, supernet=images.made(SupernetSettings))


def _print_result(result: dict[str, Any], place: Path) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("score", "networks", "tau", "95 %", "rho", "95 %"):
        table.add_column(name, justify="left" if name in ("score", "networks") else "right", no_wrap=True)
    for score, parts in result["correlations"].items():
        for part, found in parts.items():
            table.add_row(
                score if part == "all" else "",
                f"{part} ({found['count']})",
                f"{found['kendall']:.3f}",
                f"{found['kendall_low']:.2f} to {found['kendall_high']:.2f}",
                f"{found['spearman']:.3f}",
                f"{found['spearman_low']:.2f} to {found['spearman_high']:.2f}",
            )
    console = output_console()
    console.print(table)
    console.print(
        f"\ntau: Kendall, rho: Spearman. Truth: {result['truth']}. Written to {place}.", markup=False, highlight=False
    )
