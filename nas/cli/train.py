"""`nas train`: train a network on images, test it once, export it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nas.cli._common import JsonOption, note_console, note_versions, output_console, print_json, print_warnings
from nas.cli._options import Given, options_from
from nas.cli._run_options import RunOptions, StartedRun, run_to_resume
from nas.cli._train_options import ExecutionOptions, SavingOptions, execution_of, network_slug
from nas.jobs.train.settings import DenseSettings, TrainSettings
from searchspace.support.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from nas.jobs.train.prepare import TrainJob

CLASSIFICATION = "classification"


@options_from(
    TrainSettings, DenseSettings, ExecutionOptions, SavingOptions, RunOptions, out={"otherwise": "runs/train-NETWORK"}
)
def train(given: Given, json: JsonOption = False) -> None:
    """Train a network on images, test it once on images it never saw, and export it with its weights.

    The search split, drawn from the training images, is watched after every epoch; the test split is used
    once, at the end. Several GPUs: `torchrun --nproc-per-node N -m nas.cli.app train …`.

    [bold]Examples[/bold]

      nas train mobilenet_v3_small --data digits --epochs 10
      nas train runs/NAME --data cifar10:PATH --recipe short --epochs 30 --out runs/cifar
      nas train mobilenet_v2 --data imagefolder:PATH --recipe mobilenext --weights weights.safetensors
      nas train mobilenet_v3_small@96 --task segmentation --data scenes
      nas train mobilenet_v3_large@320 --task detection --data coco:DIR --weights FILE.tflite
      nas train --resume runs/NAME                 go on after an interruption
    """
    from nas.training import distributed

    run = run_to_resume(given, "train", named_by="network", free=("checkpoint_seconds", "export"))
    task = (given["task"] if run is None else run.settings.get("task")) or CLASSIFICATION
    if task != CLASSIFICATION:
        from nas.cli._train_dense import train_dense

        refuse_unused(given)
        train_dense(given, run, json=json)
        return
    if given["head"] is not None:
        raise UserError(f"--head {given['head']} goes with --task detection or segmentation")
    with distributed.process_group():
        result, path = _run(given, run)
        if not distributed.is_first():
            return
    print_warnings(result["warnings"])
    if json:
        print_json(result | {"folder": str(path)})
    else:
        _print_result(result, path)


def refuse_unused(given: Given) -> None:
    """Raise UserError for options that mean nothing with a detection or segmentation head."""
    options = given.written(("drop_strides", "precision"))
    if options:
        raise UserError(f"{options}: only for --task classification; nas export RUN --precision float16 comes later")


def _run(given: Given, run: StartedRun | None) -> tuple[dict[str, Any], Path]:
    from nas.cli._train_progress import DecodingProgress, TrainProgress
    from nas.jobs.train.prepare import prepare
    from nas.jobs.train.run import run_job
    from nas.runs import run_place
    from nas.training import distributed
    from nas.training.tensorboard import TENSORBOARD, tensorboard_logs

    settings = given.make(TrainSettings) if run is None else run.made(TrainSettings)
    saving = given.make(SavingOptions) if run is None else run.beside(SavingOptions, given)
    out, default = given["out"] if run is None else run.path, f"train-{network_slug(settings.network)}"
    place = run_place(out=out, name=None, default=default, resume=given["resume"])
    execution = execution_of(given, run)
    console = note_console()
    console.quiet = not distributed.is_first()
    with DecodingProgress(console) as decoding:
        beside = {"export": saving.export}
        job = prepare(settings, execution, place, resume=given["resume"], decoding=decoding, beside=beside)
    note_versions(job.folder.changed_versions)
    _print_start(job, console)
    others = tensorboard_logs(job.folder.file(TENSORBOARD)) if distributed.is_first() else ()
    with job.folder, TrainProgress(console, job.recipe.epochs, others) as progress:
        result = run_job(job, progress, checkpoint_seconds=saving.checkpoint_seconds, export=saving.export)
    return result, job.folder.path


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
