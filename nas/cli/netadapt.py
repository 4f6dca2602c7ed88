"""`nas netadapt`: slim a trained network, width by width, to a phone's budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli._common import (
    JsonOption,
    note_console,
    note_versions,
    output_console,
    print_json,
    print_warnings,
)
from nas.cli._options import Given, options_from
from nas.cli._run_options import EngineOptions, NamedRunOptions, run_to_resume
from nas.cli._train_options import network_slug
from nas.jobs.slim.settings import SlimSettings
from nas.options import OUTPUT

if TYPE_CHECKING:
    from nas.jobs.slim.run import SlimJob
    from nas.runs import RunPlace

ExportOption = Annotated[
    bool, typer.Option("--export/--no-export", help="Write model.tflite and time it here.", rich_help_panel=OUTPUT)
]
CompareOption = Annotated[
    str | None,
    typer.Option(
        "--compare", metavar="NETWORK", help="Show this network's widths beside the result's.", rich_help_panel=OUTPUT
    ),
]


@options_from(
    SlimSettings,
    EngineOptions,
    NamedRunOptions,
    engine={"help": "in-process; pool or ray: proposals side by side."},
    out={"otherwise": "runs/netadapt-NETWORK"},
)
def netadapt(
    given: Given, export: ExportOption = True, compare: CompareOption = None, json: JsonOption = False
) -> None:
    """Slim a trained network, width by width, until a phone's latency (or its multiply-adds or parameters) fits.

    NETWORK may be a run folder with weights; without weights it is trained first. The run also makes what the method
    has to beat (one width multiplier for all, one-shot magnitude pruning, random proposals) with the same
    fine-tuning and the same final training, and the report says what came out.

    [bold]Examples[/bold]

      nas netadapt mnasnet_a1 --target 51ms --device pixel --data cifar10:PATH
      nas netadapt runs/NAME --target 75% --data imagefolder:PATH --form original --seeds 3
      nas netadapt mobilenet_v2 --target 200M --resource madds --data cifar10:PATH --engine ray
      nas netadapt --resume runs/NAME              go on after an interruption
    """
    from nas.runs import run_place

    run = run_to_resume(
        given, "netadapt", named_by="network", free=("engine", "ray_address", "gpus_per_task", "export", "compare")
    )
    settings = given.make(SlimSettings) if run is None else run.made(SlimSettings)
    out = given["out"] if run is None else run.path
    place = run_place(
        out=out, name=given["name"], default=f"netadapt-{network_slug(settings.network)}", resume=given["resume"]
    )
    how = {"name": given["engine"], "address": given["ray_address"], "gpus_per_task": given["gpus_per_task"]}
    result, path = slim(settings, place, resume=given["resume"], export=export, compare=compare, engine=how)
    print_warnings(result.get("warnings", ()))
    if json:
        print_json(result | {"folder": str(path)})
    else:
        print_result(result, path)


def slim(
    settings: SlimSettings,
    place: Path | RunPlace,
    *,
    resume: bool = False,
    export: bool = True,
    compare: str | None = None,
    engine: dict[str, Any] | None = None,
) -> tuple[dict[str, Any], Path]:
    """Run NetAdapt from settings to its folder, with progress on stderr; return the content of result.json and where.

    `nas search --netadapt` hands its winner on to this. `engine` holds the arguments of `nas.engines.open_engine`.
    """
    from nas.cli._netadapt_progress import SlimProgress
    from nas.engines import open_engine
    from nas.jobs.slim.events import SlimEvents
    from nas.jobs.slim.files import write_files
    from nas.jobs.slim.run import prepare, run_job
    from nas.jobs.slim.watching import SlimWatch
    from nas.runs import RunFolder, RunPlace
    from searchspace.resolve import resolve_network
    from searchspace.support.errors import UserError

    console = note_console()
    before = RunFolder(place.path if isinstance(place, RunPlace) else place)
    if resume and before.is_complete:
        console.print(f"The run in {before.path} is already finished.", markup=False)
        return before.result(), before.path
    beside = resolve_network(compare) if compare else None
    how = {"name": "in-process", **(engine or {})}
    if how["name"] == "nni":
        raise UserError("NetAdapt runs in-process, on pool or on ray: NNI's trials are for nas search")
    _refuse_split_devices(settings, how)
    with open_engine(**how, cpus_per_task=settings.threads, notice=lambda text: console.print(text)) as opened:
        job = prepare(settings, place, resume=resume)
        note_versions(job.folder.changed_versions)
        _print_start(job, console)
        with job.folder:
            try:
                with SlimProgress(console, job) as progress:
                    watch = SlimWatch(job, opened, SlimEvents(job.folder, progress))
                    outcome = run_job(job, opened, watch)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"Every finished step is in {job.folder.path}; the same command with --resume goes on."
                ) from None
            console.print("writing the report" + (", exporting and timing the models" if export else ""))
            return write_files(outcome, export=export, compare=beside), job.folder.path


def _refuse_split_devices(settings: SlimSettings, how: dict[str, Any]) -> None:
    """Raise UserError where the run would compute on a GPU and its tasks could not see one."""
    from nas.jobs.slim.tuning import execution_of
    from searchspace.support.errors import UserError

    device = execution_of(settings).device
    if how["name"] == "ray" and device != "cpu" and not how.get("gpus_per_task"):
        raise UserError(
            f"this run computes on {device}, but its Ray tasks get no GPU and would give other numbers: "
            "give --gpus-per-task 1 (or a share), or --torch-device cpu"
        )


def _print_start(job: SlimJob, console: Any) -> None:
    unit = job.pricer.resource.unit or "(count)"
    groups = job.settings.widths().groups(job.initial.architecture)
    console.print(
        f"{job.pricer.resource.name} {job.initial_cost.value:,.2f} (at most {job.initial_cost.upper:,.2f}) {unit}, "
        f"target {job.target:,.2f}; {len(groups)} groups of widths may shrink; initial weights: {job.initial.weights}",
        soft_wrap=True,
    )
    if job.change is not None:
        console.print(f"note: {job.change}", soft_wrap=True)
    size, priced = job.initial.form.image_size, job.initial.architecture.resolution
    console.print(f"accuracies are at {size} px, costs of the networks at {priced} px", soft_wrap=True)


def print_result(result: dict[str, Any], place: Path) -> None:
    """Show what came out of a run, the methods it is compared with included."""
    from rich.table import Table

    console = output_console()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("method", "final training", "test top-1"):
        table.add_column(column, justify="right" if column == "test top-1" else "left")
    for row in result["accuracy"]:
        spread = f" ± {row['spread']:.2f}" if row["spread"] is not None else ""
        table.add_row(row["method"], row["kind"], f"{row['test_top1']:.2f} %{spread}")
    console.print(table)
    if "latency_ms" in result:
        console.print(
            f"{result['seed_latency_ms']:.1f} ms > {result['latency_ms']:.1f} ms predicted "
            f"(90 % interval {result['low_ms']:.1f} to {result['high_ms']:.1f} ms) in {result['steps']} steps"
        )
    console.print(f"parameters {result['seed_params'] / 1e6:.2f} M > {result['params'] / 1e6:.2f} M, multiply-adds "
                  f"{result['seed_madds'] / 1e6:.0f} M > {result['madds'] / 1e6:.0f} M")  # fmt: skip
    for sentence in result["verdict"]:
        console.print(sentence)
    console.print(f"written to {place}", markup=False)
