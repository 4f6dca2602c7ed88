"""`nas train --task detection|segmentation`: the run, its progress and its result on the console."""

from __future__ import annotations

from nas.cli._common import note_console, note_versions, output_console, print_json, print_warnings
from nas.cli._options import Given
from nas.cli._run_options import StartedRun
from nas.cli._train_options import SavingOptions, execution_of, network_slug
from nas.jobs.train.settings import DenseSettings


def train_dense(given: Given, run: StartedRun | None, *, json: bool) -> None:
    """Train as the options of `nas train` say, or as a run was started; raises UserError as `prepare_dense` does."""
    from nas.cli._train_progress import TrainProgress
    from nas.jobs.train.dense import prepare_dense, run_dense
    from nas.runs import run_place

    settings = given.make(DenseSettings) if run is None else run.made(DenseSettings)
    saving = given.make(SavingOptions) if run is None else run.beside(SavingOptions, given)
    default = f"train-{network_slug(settings.network)}-{settings.task}"
    out = given["out"] if run is None else run.path
    place = run_place(out=out, name=None, default=default, resume=given["resume"])
    beside = {"export": saving.export}
    job = prepare_dense(settings, execution_of(given, run), place, resume=given["resume"], beside=beside)
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
        result = run_dense(job, progress, checkpoint_seconds=saving.checkpoint_seconds, export=saving.export)
    print_warnings(result["warnings"])
    if json:
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
