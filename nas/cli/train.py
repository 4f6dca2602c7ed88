"""`nas train`: train a network on images, test it once, export it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli._common import (
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
from nas.cli._head import HeadOption
from nas.data_kinds import DATA_KINDS
from searchspace.support.errors import UserError

if TYPE_CHECKING:
    from nas.jobs.train.prepare import TrainJob
    from nas.jobs.train.settings import TrainSettings
    from nas.runs import RunPlace
    from nas.training.execution import Execution

DataOption = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="DATA",
        help=f"{DATA_KINDS}; with --task scenes, coco:DIR (boxes) or voc:DIR (masks).",
        show_default=False,
    ),
]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        help="mobilenetv3, mobilenext, short, fine-tune (from --weights) or dense; default: short, with --task dense.",
    ),
]
TaskOption = Annotated[
    str,
    typer.Option("--task", help="classification, detection (ssdlite) or segmentation (lraspp); see docs/detection.md."),
]
EpochsOption = Annotated[int | None, typer.Option("--epochs", help="Passes over the images; default: the recipe's.")]
OutOption = Annotated[str | None, typer.Option("--out", metavar="DIR", help="Folder of the run; default: runs/train-…")]
ImageSizeOption = Annotated[
    int | None,
    typer.Option("--image-size", help="Pixels a side; default: the network's own (of smaller images: theirs)."),
]
WeightsOption = Annotated[
    str | None, typer.Option("--weights", metavar="FILE", help="Start from these weights: safetensors, tflite or npz.")
]
FromScratchOption = Annotated[
    bool, typer.Option("--from-scratch", help="Ignore the weights in a run folder given as NETWORK.")
]
BatchSizeOption = Annotated[
    int | None, typer.Option("--batch-size", help="Images per step; the learning rate follows in proportion.")
]
LearningRateOption = Annotated[
    float | None, typer.Option("--learning-rate", help="Peak rate in place of the recipe's.")
]
ClipOption = Annotated[float | None, typer.Option("--clip-norm", help="Clip gradients to this L2 norm.")]
SubsetOption = Annotated[int | None, typer.Option("--subset", metavar="N", help="Use N training images only.")]
Bf16Option = Annotated[bool | None, typer.Option("--bf16/--no-bf16", help="Default: on with a GPU; measured on a CPU.")]
ChannelsLastOption = Annotated[bool, typer.Option("--channels-last/--no-channels-last", help="Memory layout.")]
CompileOption = Annotated[bool, typer.Option("--compile/--no-compile", help="Compile the network with torch.compile.")]
CheckpointOption = Annotated[float, typer.Option("--checkpoint-seconds", help="How often the state is saved.")]
ExportOption = Annotated[bool, typer.Option("--export/--no-export", help="Write model.tflite and check its accuracy.")]

PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="Of model.tflite: float32, float16 or int8; default: that of the table a run folder was searched for.",
    ),
]


def train(
    context: typer.Context,
    network: NetworkArgument,
    data: DataOption,
    task: TaskOption = "classification",
    head: HeadOption = None,
    recipe: RecipeOption = None,
    epochs: EpochsOption = None,
    out: OutOption = None,
    resume: ResumeOption = False,
    seed: SeedOption = 0,
    image_size: ImageSizeOption = None,
    drop_strides: DropStridesOption = None,
    weights: WeightsOption = None,
    from_scratch: FromScratchOption = False,
    batch_size: BatchSizeOption = None,
    learning_rate: LearningRateOption = None,
    clip_norm: ClipOption = None,
    subset: SubsetOption = None,
    torch_device: TorchDeviceOption = None,
    bf16: Bf16Option = None,
    channels_last: ChannelsLastOption = True,
    compile: CompileOption = False,
    checkpoint_seconds: CheckpointOption = 60.0,
    export: ExportOption = True,
    precision: PrecisionOption = None,
    json: JsonOption = False,
) -> None:
    """Train a network on images, test it once on images it never saw, and export it with its weights.

    The search split, drawn from the training images, is watched after every epoch; the test split is used
    once, at the end. Several GPUs: `torchrun --nproc-per-node N -m nas.cli.app train …`.

    [bold]Examples[/bold]

      nas train mobilenet_v3_small --data digits --epochs 10
      nas train runs/NAME --data cifar10:PATH --recipe short --epochs 30 --out runs/cifar
      nas train mobilenet_v2 --data imagefolder:PATH --recipe mobilenext --weights weights.safetensors
      nas train mobilenet_v3_small@96 --task segmentation --data scenes
      nas train mobilenet_v3_large@320 --task detection --data coco:DIR --weights FILE.tflite
    """
    if task != "classification":
        from nas.cli._train_dense import train_dense

        refuse_unused(context)
        train_dense(context.params)
        return
    if head is not None:
        raise UserError(f"--head {head} goes with --task detection or segmentation")
    from nas.jobs.train.settings import TrainSettings
    from nas.runs import run_place
    from nas.training import distributed

    settings = TrainSettings(
        network=network,
        data=data,
        recipe=recipe or "short",
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        clip_norm=clip_norm,
        seed=seed,
        image_size=image_size,
        subset=subset,
        weights=weights,
        from_scratch=from_scratch,
        drop_strides=drop_strides,
        precision=precision,
    )
    with distributed.process_group():
        place = run_place(out=out, name=None, default=f"train-{_slug(network)}", resume=resume)
        execution = execution_of(torch_device, bf16, channels_last, compile)
        result, path = _run(settings, execution, place, resume, checkpoint_seconds, export)
        if not distributed.is_first():
            return
    print_warnings(result["warnings"])
    if json:
        print_json(result | {"folder": str(path)})
    else:
        _print_result(result, path)


def refuse_unused(context: typer.Context) -> None:
    """Raise UserError for options that mean nothing with a detection or segmentation head."""
    unused = ("drop_strides", "precision")
    given = [name for name in unused if context.params[name] is not None]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(f"{options}: only for --task classification; nas export RUN --precision float16 comes later")


def _run(
    settings: TrainSettings,
    execution: Execution,
    place: RunPlace,
    resume: bool,
    checkpoint_seconds: float,
    export: bool,
) -> tuple[dict[str, Any], Path]:
    from nas.cli._train_progress import DecodingProgress, TrainProgress
    from nas.jobs.train.prepare import prepare
    from nas.jobs.train.run import run_job
    from nas.training import distributed
    from nas.training.tensorboard import TENSORBOARD, tensorboard_logs

    console = note_console()
    console.quiet = not distributed.is_first()
    with DecodingProgress(console) as decoding:
        job = prepare(settings, execution, place, resume=resume, decoding=decoding)
    note_versions(job.folder.changed_versions)
    _print_start(job, console)
    others = tensorboard_logs(job.folder.file(TENSORBOARD)) if distributed.is_first() else ()
    with job.folder, TrainProgress(console, job.recipe.epochs, others) as progress:
        result = run_job(job, progress, checkpoint_seconds=checkpoint_seconds, export=export)
    return result, job.folder.path


def execution_of(torch_device: str | None, bf16: bool | None, channels_last: bool, compile: bool) -> Execution:
    """Return how the options say that steps are carried out."""
    from nas.training.execution import default_execution

    chosen = default_execution(torch_device)
    return replace(chosen, bf16=chosen.bf16 if bf16 is None else bf16, channels_last=channels_last, compile=compile)


def _print_start(job: TrainJob, console: Any) -> None:
    architecture = job.start.network.architecture
    console.print(
        f"{job.settings.data}: {len(job.data.train)} training and {len(job.data.search)} search images, "
        f"{len(job.data.classes)} classes, {job.data.image_size} px"
    )
    console.print(
        f"network: {architecture.params / 1e6:.2f} M parameters, {architecture.madds / 1e6:.1f} M multiply-adds at "
        f"{job.data.image_size} px; weights: {job.start.weights}"
    )
    if job.change is not None:
        console.print(f"note: {job.change}", soft_wrap=True)
    if job.execution.device == "cpu" and job.execution.bf16:
        console.print("precision: bfloat16, which was measured to be faster here; --no-bf16 computes in float32")
    console.print(f"recipe: {job.recipe.name}, {job.recipe.epochs} epochs of batch {job.recipe.batch_size}")


def _print_result(result: dict[str, Any], place: Path) -> None:
    console = output_console()
    test = result["test"]
    console.print(f"test top-1 {test['top1']:.2f} %, top-5 {test['top5']:.2f} % on {test['count']} images")
    export = result["export"]
    if export is not None and "failed" in export:
        console.print(f"not exported: {export['failed']}")
    elif export is not None:
        check = export["accuracy_check"]
        console.print(
            f"exported {export['file']} ({export['precision']}): top-1 {check['tflite_top1']:.2f} % against "
            f"{check['torch_top1']:.2f} % in PyTorch on {check['images']} images; {export['host_latency_ms']:.2f} ms "
            "on this machine"
        )
    console.print(f"written to {place}", markup=False)


def _slug(network: str) -> str:
    return Path(network).stem if "," not in network else "network"
