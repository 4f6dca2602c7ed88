"""`nas train --task detection|segmentation`: the run, its progress and its result on the console."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from nas.cli._common import note_console, note_versions, output_console, print_json, print_warnings


def train_dense(given: dict[str, Any]) -> None:
    """Train as the options of `nas train` say; raises UserError as `prepare_dense` does."""
    from nas.cli._train_progress import TrainProgress
    from nas.cli.train import execution_of
    from nas.jobs.train.dense import DenseSettings, prepare_dense, run_dense
    from nas.runs import run_place

    names = {field.name for field in fields(DenseSettings)}
    chosen = {name: value for name, value in given.items() if name in names}
    settings = DenseSettings(**chosen | {"recipe": given["recipe"] or DenseSettings.recipe})
    slug = Path(settings.network).stem if "," not in settings.network else "network"
    default = f"train-{slug}-{settings.task}"
    place = run_place(out=given["out"], name=None, default=default, resume=given["resume"])
    execution = execution_of(given["torch_device"], given["bf16"], given["channels_last"], given["compile"])
    job = prepare_dense(settings, execution, place, resume=given["resume"])
    note_versions(job.folder.changed_versions)
    console, data, network = note_console(), job.data, job.module.network
    console.print(
        f"{data.spec}: {len(data.train)} training, {len(data.search)} search and {len(data.test)} test images"
    )
    for note in data.notes:
        console.print(f"note: {note}")
    console.print(
        f"{network.head.name}: {network.params / 1e6:.2f} M parameters, {network.madds / 1e6:.1f} M multiply-adds at "
        f"{data.image_size} px; weights: {job.weights}"
    )
    with job.folder, TrainProgress(console, job.recipe.epochs) as progress:
        result = run_dense(job, progress, checkpoint_seconds=given["checkpoint_seconds"], export=given["export"])
    print_warnings(result["warnings"])
    if given["json"]:
        print_json(result | {"folder": str(job.folder.path)})
        return
    output, test, export = output_console(), result["test"], result["export"]
    values = ", ".join(f"{name} {value:.1f} %" for name, value in test["values"].items())
    output.print(f"test {values} on {test['count']} images")
    if export is not None and "failed" in export:
        output.print(f"not exported: {export['failed']}")
    elif export is not None:
        output.print(f"exported {export['file']}: {export['host_latency_ms']:.2f} ms on this machine")
    output.print(f"written to {job.folder.path}")
