"""`nas netadapt`: slim a trained network, width by width, to a phone's budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli._common import (
    DeviceOption,
    DropStridesOption,
    JsonOption,
    NetworkArgument,
    ResumeOption,
    SeedOption,
    TorchDeviceOption,
    note_console,
    note_versions,
    output_console,
    print_json,
    print_warnings,
)
from nas.data_kinds import DATA_KINDS
from nas.jobs.slim.settings import ResourceName, Score, SlimSettings
from netadapt.schedule import Form

if TYPE_CHECKING:
    from nas.jobs.slim.run import SlimJob
    from nas.runs import RunPlace

_DATA = f"{DATA_KINDS}."
_TARGET = "A cost with its unit (51ms, 200M), or a share of the seed's (75%)."
_INCLUDE = "Also shrink: stem, head, last-stage. Repeatable; the original form includes all."

TargetOption = Annotated[str, typer.Option("--target", metavar="51ms", help=_TARGET, show_default=False)]
DataOption = Annotated[str, typer.Option("--data", metavar="DATA", help=_DATA, show_default=False)]
ResourceOption = Annotated[ResourceName, typer.Option("--resource", help="What is to be saved.")]
FormOption = Annotated[Form, typer.Option("--form", help="MobileNetV3's NetAdapt, or the original.")]
ReductionOption = Annotated[
    float | None, typer.Option("--reduction", help="Share of the seed's cost each step saves; default: the paper's.")
]
DecayOption = Annotated[float | None, typer.Option("--decay", help="Factor on the reduction after each step.")]
IncludeOption = Annotated[list[str] | None, typer.Option("--include", metavar="PART", help=_INCLUDE)]
StepOption = Annotated[int, typer.Option("--channel-step", min=1, help="Widths are multiples of this.")]
SmallestOption = Annotated[int, typer.Option("--smallest", min=1, help="Smallest width of any layer.")]
CriterionOption = Annotated[str, typer.Option("--criterion", help="Which channels stay: l1, l2, bn or taylor.")]
ScoreOption = Annotated[Score, typer.Option("--score", help="Compare proposals by top-1 or, for few images, by loss.")]
TuneStepsOption = Annotated[int, typer.Option("--tune-steps", help="Fine-tuning steps of each proposal.")]
BatchOption = Annotated[int, typer.Option("--batch-size", help="Images per step.")]
RateOption = Annotated[float, typer.Option("--learning-rate", help="Of the short fine-tuning.")]
DistilOption = Annotated[bool, typer.Option("--distill", help="Fine-tune towards the seed's outputs, not the labels.")]
RecipeOption = Annotated[str, typer.Option("--recipe", help="From scratch: short, mobilenetv3, mobilenext.")]
FineTuneOption = Annotated[int, typer.Option("--fine-tune-epochs", help="Of the long fine-tuning; 0: none.")]
FineTuneRateOption = Annotated[float, typer.Option("--fine-tune-rate", help="Peak rate of the long fine-tuning.")]
ScratchOption = Annotated[int, typer.Option("--scratch-epochs", help="Of the training from scratch; 0: none.")]
SeedEpochsOption = Annotated[int, typer.Option("--seed-epochs", help="To train a seed that has no weights.")]
BaselinesOption = Annotated[bool, typer.Option("--baselines/--no-baselines", help="Compare with simpler methods.")]
SeedsOption = Annotated[int, typer.Option("--seeds", help="Repetitions of every final training.")]
ImageSizeOption = Annotated[
    int | None, typer.Option("--image-size", help="Pixels a side, for accuracy and cost; default: the network's own.")
]
SubsetOption = Annotated[int | None, typer.Option("--subset", metavar="N", help="Use N training images only.")]
WeightsOption = Annotated[
    str | None,
    typer.Option("--weights", metavar="FILE", help="The seed's weights: safetensors, or MobileNetV2's npz."),
]
ExtrapolateOption = Annotated[bool, typer.Option("--extrapolate", help="Price operations outside the table too.")]
ThreadsOption = Annotated[int, typer.Option("--threads", help="CPU threads of one task.")]
Bf16Option = Annotated[bool, typer.Option("--bf16/--no-bf16", help="Compute in bfloat16, on every worker.")]
EngineOption = Annotated[str, typer.Option("--engine", help="in-process; pool or ray: proposals side by side.")]
RayAddressOption = Annotated[
    str | None, typer.Option("--ray-address", metavar="auto", help="Join a Ray cluster instead of starting one here.")
]
GpusOption = Annotated[float, typer.Option("--gpus-per-task", help="Share of a GPU each Ray task takes.")]
OutOption = Annotated[str | None, typer.Option("--out", metavar="DIR", help="Folder of the run.")]
NameOption = Annotated[str | None, typer.Option("--name", help="Write to runs/NAME.")]
ExportOption = Annotated[bool, typer.Option("--export/--no-export", help="Write model.tflite and time it here.")]
CompareOption = Annotated[
    str | None, typer.Option("--compare", metavar="NETWORK", help="Show this network's widths beside the result's.")
]


def netadapt(
    network: NetworkArgument,
    target: TargetOption,
    data: DataOption,
    device: DeviceOption = "pixel",
    resource: ResourceOption = ResourceName.LATENCY,
    form: FormOption = Form.MOBILENETV3,
    reduction: ReductionOption = None,
    decay: DecayOption = None,
    include: IncludeOption = None,
    channel_step: StepOption = 8,
    smallest: SmallestOption = 8,
    criterion: CriterionOption = "l2",
    score: ScoreOption = Score.TOP1,
    tune_steps: TuneStepsOption = 100,
    batch_size: BatchOption = 64,
    learning_rate: RateOption = 0.01,
    distill: DistilOption = False,
    recipe: RecipeOption = "short",
    fine_tune_epochs: FineTuneOption = 5,
    fine_tune_rate: FineTuneRateOption = 0.02,
    scratch_epochs: ScratchOption = 15,
    seed_epochs: SeedEpochsOption = 15,
    baselines: BaselinesOption = True,
    seeds: SeedsOption = 1,
    seed: SeedOption = 0,
    image_size: ImageSizeOption = None,
    drop_strides: DropStridesOption = None,
    subset: SubsetOption = None,
    weights: WeightsOption = None,
    extrapolate: ExtrapolateOption = False,
    threads: ThreadsOption = 1,
    torch_device: TorchDeviceOption = None,
    bf16: Bf16Option = False,
    engine: EngineOption = "in-process",
    ray_address: RayAddressOption = None,
    gpus_per_task: GpusOption = 0.0,
    out: OutOption = None,
    name: NameOption = None,
    resume: ResumeOption = False,
    export: ExportOption = True,
    compare: CompareOption = None,
    json: JsonOption = False,
) -> None:
    """Slim a trained network, width by width, until a phone's latency (or its multiply-adds or parameters) fits.

    NETWORK may be a run folder with weights; without weights the seed is trained first. The run also makes what the
    method has to beat (one width multiplier for all, one-shot magnitude pruning, random proposals) with the same
    fine-tuning and the same final training, and the report says what came out.

    [bold]Examples[/bold]

      nas netadapt mnasnet_a1 --target 51ms --device pixel --data cifar10:PATH
      nas netadapt runs/NAME --target 75% --data imagefolder:PATH --form original --seeds 3
      nas netadapt mobilenet_v2 --target 200M --resource madds --data cifar10:PATH --engine ray
    """
    from nas.runs import run_place

    settings = SlimSettings(
        network=network,
        target=target,
        data=data,
        device=device,
        resource=resource,
        form=form,
        reduction=reduction,
        decay=decay,
        include=tuple(include or ()),
        channel_step=channel_step,
        smallest=smallest,
        criterion=criterion,
        score=score,
        tune_steps=tune_steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        distill=distill,
        recipe=recipe,
        fine_tune_epochs=fine_tune_epochs,
        fine_tune_rate=fine_tune_rate,
        scratch_epochs=scratch_epochs,
        seed_epochs=seed_epochs,
        baselines=baselines,
        seeds=seeds,
        seed=seed,
        image_size=image_size,
        subset=subset,
        weights=weights,
        extrapolate=extrapolate,
        threads=threads,
        drop_strides=drop_strides,
        torch_device=torch_device,
        bf16=bf16,
    )
    place = run_place(out=out, name=name, default=f"netadapt-{_slug(network)}", resume=resume)
    how = {"name": engine, "address": ray_address, "gpus_per_task": gpus_per_task}
    result, path = slim(settings, place, resume=resume, export=export, compare=compare, engine=how)
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
                    outcome = run_job(job, opened, SlimEvents(job.folder, progress, opened))
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
    groups = job.settings.widths().groups(job.seed.architecture)
    console.print(
        f"{job.pricer.resource.name} {job.seed_cost.value:,.2f} (at most {job.seed_cost.upper:,.2f}) {unit}, target "
        f"{job.target:,.2f}; {len(groups)} groups of widths may shrink; seed weights: {job.seed.weights}",
        soft_wrap=True,
    )
    if job.change is not None:
        console.print(f"note: {job.change}", soft_wrap=True)
    size, priced = job.seed.form.image_size, job.seed.architecture.resolution
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


def _slug(network: str) -> str:
    return Path(network).stem if "," not in network else "network"
