"""`nas search`: find the most accurate network within a latency budget."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli._common import (
    DeviceOption,
    JsonOption,
    SeedOption,
    SpaceOption,
    note_console,
    output_console,
    print_json,
)
from nas.cli._supernet_options import (
    DataOption,
    EpochsOption,
    FromScratchOption,
    ImageSizeOption,
    ModeOption,
    SubsetOption,
    WarmUpOption,
    WinnerEpochsOption,
)

if TYPE_CHECKING:
    from nas.report.search_page import SearchSummary
    from nas.runs.scoring import Watch
    from nas.runs.search import SearchSettings
    from nas.search import Progress

BudgetOption = Annotated[
    str,
    typer.Option("--budget", metavar="TIME", help="Latency to keep, with its unit: 60ms, 0.06s.", show_default=False),
]
StrategyOption = Annotated[str, typer.Option("--strategy", help="evolution, reinforce, random or tpe.")]
EvaluationsOption = Annotated[
    int | None,
    typer.Option("--evaluations", metavar="N", help="Networks to evaluate; default: 50,000, with --data 300."),
]
OutOption = Annotated[str | None, typer.Option("--out", metavar="DIR", help="Folder of the run; default: runs/NAME.")]
NameOption = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Name of the run; default: from device, budget and space.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]
ExtrapolateOption = Annotated[
    bool, typer.Option("--extrapolate", help="Estimate operations outside the table's measured range, and flag them.")
]
ExportOption = Annotated[
    bool, typer.Option("--export/--no-export", help="Write model.tflite and time it on this machine.")
]


def search(
    budget: BudgetOption,
    device: DeviceOption = "pixel",
    space: SpaceOption = "mobilenetv3",
    strategy: StrategyOption = "evolution",
    seed: SeedOption = 0,
    evaluations: EvaluationsOption = None,
    data: DataOption = None,
    image_size: ImageSizeOption = None,
    subset: SubsetOption = None,
    supernet_training: ModeOption = "sandwich",
    warm_up: WarmUpOption = 0.0,
    epochs: EpochsOption = 30,
    winner_epochs: WinnerEpochsOption = 30,
    from_scratch: FromScratchOption = False,
    out: OutOption = None,
    name: NameOption = None,
    resume: ResumeOption = False,
    extrapolate: ExtrapolateOption = False,
    export: ExportOption = True,
    json: JsonOption = False,
) -> None:
    """Find the most accurate network within a latency budget.

    The upper end of the latency interval keeps the budget. Without --data, accuracy is predicted from ImageNet
    accuracies of thousands of networks. With --data a supernet is trained on your images and scores the networks;
    the winner is trained further, tested once and exported with its weights. The run's folder gets the
    architecture, the Pareto front, the latency by layer, a TFLite model and report.html; result.json is the same
    for the same seed.

    [bold]Examples[/bold]

      nas search --budget 60ms --device pixel
      nas search --budget 0.08s --space mnasnet --seed 1 --out runs/mnasnet-80
      nas search --budget 30ms --data digits --space mobile
      nas search --budget 60ms --resume            go on after an interruption
    """
    from nas.objective import parse_budget
    from nas.runs import RunFolder, run_path
    from nas.runs.scoring import PredictedScoring, Scoring
    from nas.runs.search import SearchSettings, prepare_search, require_exporter, run_to_folder

    settings = SearchSettings(
        budget_ms=parse_budget(budget),
        device=device,
        space=space,
        strategy=strategy,
        seed=seed,
        evaluations=evaluations or (50_000 if data is None else 300),
        extrapolate=extrapolate,
    )
    scoring: Scoring = PredictedScoring(seed)
    chosen = settings.as_dict()
    if data is not None:
        from nas.supernet_search import SupernetSettings, open_scoring

        images = SupernetSettings(
            data=data,
            image_size=image_size,
            subset=subset,
            mode=supernet_training,
            warm_up=warm_up,
            epochs=epochs,
            winner_epochs=winner_epochs,
            from_scratch=from_scratch,
            seed=seed,
        )
        scoring, chosen = open_scoring(images), chosen | images.as_dict()
    prepared = prepare_search(settings, scoring)
    if export:
        require_exporter()
    place = run_path(out=out, name=name, default=_default_name(settings), resume=resume)
    folder = RunFolder.reopen(place, chosen) if resume else RunFolder.create(place, chosen)
    if folder.is_complete:
        note_console().print(f"{place} is already finished; nothing to do.")
        if json:
            print_json(folder.result())
        return
    with _progress(settings.evaluations) as watch:
        summary, result = run_to_folder(prepared, folder, export=export, watch=watch)
    if json:
        print_json(result)
    else:
        _print_result(summary, place)


def _default_name(settings: SearchSettings) -> str:
    parts = (Path(settings.device).stem, f"{settings.budget_ms:g}ms", Path(settings.space).stem)
    return "-".join(part.replace(":", "-") for part in parts)


@contextmanager
def _progress(total: int) -> Iterator[Watch]:
    """Show the search as a bar with the best network so far, and each later step as a line, on stderr."""
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    from nas.runs.scoring import Watch

    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[best]}"),
    )
    with Bars(*columns, console=note_console()) as bars:
        searching = bars.add_task("Searching", total=total, best="")

        def progress(state: Progress) -> None:
            best = "" if state.top1 is None else f"best {state.top1:.2f} % at {state.latency_ms:.1f} ms"
            bars.update(searching, completed=state.evaluations, best=best)

        @contextmanager
        def stage(name: str) -> Iterator[None]:
            task = bars.add_task(name, total=1, best="")
            yield
            bars.update(task, completed=1)

        yield Watch(progress=progress, stage=stage)


def _print_result(summary: SearchSummary, place: Path) -> None:
    from rich.table import Table

    from nas.report.search_page import as_percent, finding_facts

    winner = summary.winner
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("network", no_wrap=True)
    for name in ("top-1", "found as fast", "latency", "90 % interval", "MAdds", "params"):
        table.add_column(name, justify="right", no_wrap=True)
    for network in (winner, *summary.references):
        table.add_row(
            network.name + ("*" if network.note else ""),
            f"{network.top1:.2f} %",
            "" if network is winner else as_percent(summary.found_within(network.prediction.latency_ms)),
            f"{network.prediction.latency_ms:.1f} ms",
            f"{network.prediction.low_ms:.1f} to {network.prediction.high_ms:.1f} ms",
            f"{network.architecture.madds / 1e6:.0f} M",
            f"{network.architecture.params / 1e6:.2f} M",
            style="bold" if network is winner else None,
        )
    console = output_console()
    console.print(table)
    for network in summary.references:
        if network.note:
            console.print(f"* {network.name}: {network.note}", style="dim", markup=False)
    console.print(f"\nBudget {summary.budget_ms:g} ms on {summary.device}, kept by the upper end of the interval.")
    console.print(f"Top-1 is {summary.accuracy}; latency is predicted for the phone.", markup=False)
    if summary.export is not None:
        host_ms = summary.export.host_latency_ms
        console.print(
            f"On this machine {summary.export.file} took {host_ms:.1f} ms; its weights are {summary.export.weights}."
        )
    for name, fact in finding_facts(summary.findings).items() if summary.findings else ():
        console.print(f"{name}: {fact}", markup=False)
    console.print(f"\nWritten to {place}. Open {place / 'report.html'}, or go on with:", markup=False)
    console.print(f"  nas latency {place} mobilenet_v3_large --device {summary.device}", markup=False)
