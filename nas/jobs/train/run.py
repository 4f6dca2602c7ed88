"""A whole training run in its folder: settings, log, checkpoint, weights, accuracy, picture, exported model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from latency_lut import LatencyTable
from latency_lut.devices import load_device
from nas.data import Data, Split, load_data, sample
from nas.export import Usage, preparation_of, require_precision
from nas.jobs.train.page import train_page
from nas.report.curve import draw_curve
from nas.report.drawing import write_picture
from nas.runs import RunFolder, RunPlace
from nas.training import distributed
from nas.training.checkpoint import Checkpoints
from nas.training.evaluation import Accuracy, chance_warning, evaluate
from nas.training.execution import Execution
from nas.training.history import EpochRecord, History, Observer
from nas.training.loop import train
from nas.training.recipes import Recipe, recipe
from nas.training.resolution import change_of_form
from nas.training.start import Start, find_weights, start_on
from nas.weights import Weights, open_weights
from searchspace.low_resolution import network_asked_for
from searchspace.modules import Network
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError
from searchspace.weights import WEIGHTS_FILE, save_weights
from searchspace.yaml_io import save_architecture

LOG = "log.jsonl"
CHECKPOINT = "checkpoint.pt"
CURVE = "curve.png"
REPORT = "report.html"
PRECISION = "bf16"  # the note of the precision that was decided on
MODEL = "model.tflite"
# The exported file classifies one image at a time, so its accuracy is compared on this many test images.
EXPORT_CHECK_IMAGES = 512


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What `nas train` was asked for; the same settings give the same numbers on one machine.

    `learning_rate`, `batch_size`, `clip_norm` and `epochs` replace the recipe's where given (a batch size
    scales the recipe's learning rate). `image_size` replaces the network's own resolution (below 64 px it only
    stands in for it); `drop_strides` says how many first strides of 2 become 1 (default: none from 64 px on, see
    `searchspace.low_resolution`). `precision` is that of the exported file, by default that of the latency table
    for which the run given as `network` was searched, else float32.
    """

    network: str
    data: str
    recipe: str = "short"
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    clip_norm: float | None = None
    seed: int = 0
    image_size: int | None = None
    subset: int | None = None
    weights: str | None = None
    from_scratch: bool = False
    drop_strides: int | None = None
    precision: str | None = None

    def chosen_recipe(self) -> Recipe:
        """Return the recipe with what the settings replace; raises UserError for impossible values."""
        chosen = recipe(self.recipe, self.epochs)
        if self.batch_size is not None:
            chosen = chosen.with_batch_size(self.batch_size)
        if self.learning_rate is not None:
            chosen = replace(chosen, learning_rate=self.learning_rate)
        if self.clip_norm is not None:
            chosen = replace(chosen, clip_norm=self.clip_norm)
        return chosen


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """A run that is ready to start: everything given has been checked and the data is loaded."""

    settings: TrainSettings
    execution: Execution
    recipe: Recipe
    data: Data
    tested: Split
    start: Start
    change: str | None  # how what runs differs from the network given, in words
    folder: RunFolder
    resume: bool


def prepare(
    settings: TrainSettings,
    execution: Execution,
    out: Path | RunPlace,
    *,
    resume: bool = False,
    decoding: Callable[[int, int], None] | None = None,
) -> TrainJob:
    """Check the settings, load the data, build the network and open the run's folder.

    `decoding(done, total)` is told how many images are decoded.

    Raises UserError, before anything is written, for whatever is wrong with the settings, the data or the
    folder.
    """
    chosen = settings.chosen_recipe()
    if settings.precision is not None:
        require_precision(settings.precision)
    weights = find_weights(settings.network, settings.weights, settings.from_scratch)
    given = resolve_network(settings.network)
    asked = network_asked_for(given, settings.image_size)
    opened = open_weights(weights, asked) if weights is not None else None
    data = _load(settings, given.resolution, opened, decoding)
    start = start_on(asked, data, opened, seed=settings.seed, dropped_strides=settings.drop_strides)
    change = change_of_form(given, start.asked, start.form, _known_table(settings.network))
    images_per_step = min(chosen.batch_size, len(data.train))
    decided = execution.for_steps_of(images_per_step * start.network.architecture.madds)
    folder = _open_folder(out, {**asdict(settings), "execution": asdict(execution)}, resume, decided)
    return TrainJob(
        settings=settings,
        execution=replace(decided, bf16=folder.about().get(PRECISION, decided.bf16)),
        recipe=chosen,
        data=data,
        # Opened now, looked at last: a damaged test image is better found before the training than after it.
        tested=data.test_split(),
        start=start,
        change=change,
        folder=folder,
        resume=resume,
    )


def _known_table(network: str) -> LatencyTable | None:
    """Return the table of the device that a run folder given as NETWORK was found for, if there is one."""
    if "," in network or not RunFolder(network).is_complete:
        return None
    device = RunFolder(network).result().get("device")
    try:
        return load_device(device) if isinstance(device, str) else None
    except UserError:
        return None  # a table that is no longer there: the multiply-adds have to do


def run_job(job: TrainJob, observer: Observer, *, checkpoint_seconds: float, export: bool) -> dict[str, Any]:
    """Train, test once, and write everything into the run's folder; return the result that is also written
    there.

    In all processes but the first of a distributed run only the training happens and the result is empty.
    Raises what `nas.training.train` raises.
    """
    network, folder = job.start.network, job.folder
    checkpoints = Checkpoints(path=folder.file(CHECKPOINT), every_seconds=checkpoint_seconds, resume=job.resume)
    log = EpochLog(folder, observer) if distributed.is_first() else None
    history = train(
        network,
        job.data,
        job.recipe,
        seed=job.settings.seed,
        execution=job.execution,
        checkpoints=checkpoints,
        observer=log,
    )
    if not distributed.is_first():
        return {}
    test = evaluate(network, job.tested.batches(job.execution.evaluation_batch))
    notes = Usage.of_data(job.data).file_notes()
    save_weights(network, folder.file(WEIGHTS_FILE), data=job.settings.data, recipe=job.recipe.name, **notes)
    save_architecture(job.start.asked, folder.file("architecture.yaml"))
    title = f"{job.settings.network if ',' not in job.settings.network else 'network'} on {job.settings.data}"
    write_picture(folder, CURVE, lambda: draw_curve(history, title))
    result = _result(job, history, test)
    result["export"] = _export(network, job) if export else None
    folder.write(REPORT, train_page(result, history, network.architecture, asdict(job.settings)))
    folder.finish(result)
    return result


class EpochLog:
    """Keeps `log.jsonl` up to date, one line per epoch, and passes everything on to another observer."""

    def __init__(self, folder: RunFolder, observer: Observer) -> None:
        self.folder, self.observer = folder, observer
        self.lines: list[str] = []

    def step_done(self, epoch: int, step: int, steps: int, images: int) -> None:
        """Pass it on."""
        self.observer.step_done(epoch, step, steps, images)

    def epoch_done(self, record: EpochRecord) -> None:
        """Write the epoch's line and pass it on."""
        self.lines.append(json.dumps(asdict(record)) + "\n")
        self.folder.write(LOG, "".join(self.lines))
        self.observer.epoch_done(record)


def _load(
    settings: TrainSettings,
    resolution: int,
    weights: Weights | None,
    decoding: Callable[[int, int], None] | None,
) -> Data:
    """Load the data, prepared as the weights expect and by default at the size they were trained at."""
    size, preparation = settings.image_size, None
    if weights is not None:
        size = size or weights.architecture.resolution
        preparation = weights.info.preparation

    def load() -> Data:
        return load_data(
            settings.data,
            size,
            settings.seed,
            settings.subset,
            resolution=resolution,
            statistics=preparation.statistics if preparation is not None else None,
            progress=decoding,
        )

    # The first process decodes into the cache, the others then find it there.
    if distributed.is_first():
        data = load()
        distributed.wait_for_all()
        return data
    distributed.wait_for_all()
    return load()


def _open_folder(out: Path | RunPlace, settings: dict[str, Any], resume: bool, decided: Execution) -> RunFolder:
    """Open the folder in the first process; the others are told which one it is.

    The precision that was decided on is noted in it, so that the run goes on in the same one.
    """
    if not distributed.is_first():
        return RunFolder(distributed.from_first(""), settings)
    folder = (
        RunFolder.reopen(out, settings)
        if resume
        else RunFolder.create(out, settings, "train", {PRECISION: bool(decided.bf16)})
    )
    if folder.is_complete:
        raise UserError(f"{folder.path} holds a finished run: nothing to resume; choose another --out to train again")
    distributed.from_first(str(folder.path))
    return folder


def _result(job: TrainJob, history: History, test: Accuracy) -> dict[str, Any]:
    architecture, running = job.start.asked, job.start.network.architecture
    warning = chance_warning(test, len(job.data.classes))
    return {
        "network": job.settings.network,
        "architecture": str(architecture),
        "runs_as": str(running),
        "runs_as_madds": running.madds,
        "change": job.change,
        "warnings": [warning] if warning else [],
        "params": architecture.params,
        "madds": architecture.madds,
        "weights": job.start.weights,
        "data": job.settings.data,
        "evaluated": {"network": str(running), "data": job.settings.data, "part": "test"},
        "classes": len(job.data.classes),
        "labels": list(job.data.classes),
        "preparation": preparation_of(job.data).as_dict(),
        "weights_notes": list(job.start.info.notes) if job.start.info is not None else [],
        "data_notes": list(job.data.notes),
        "image_size": job.data.image_size,
        "train_images": len(job.data.train),
        "recipe": asdict(job.recipe),
        "training_precision": "bfloat16" if job.execution.bf16 else "float32",
        "seed": job.settings.seed,
        "test": asdict(test),
        "search": asdict(history.final.search),
        "train_loss": history.final.train_loss,
        "seconds": sum(record.seconds for record in history.epochs),
        "images_per_second": history.final.images_per_second,
    }


def _export(network: Network, job: TrainJob) -> dict[str, Any]:
    """Export the trained network and compare the file's accuracy with PyTorch's on test images.

    A missing converter does not spoil a finished training: the reason stands in the result instead.
    """
    import torch

    from nas.export import calibration_from, export_trained, precision_of

    precision, seed = job.settings.precision or precision_of(job.settings.network), job.settings.seed
    size = network.architecture.resolution
    network.to(device="cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    images, labels = sample(job.tested, EXPORT_CHECK_IMAGES, job.settings.seed)
    try:
        record, check = export_trained(
            network,
            job.folder.file(MODEL),
            images.numpy(),
            labels.numpy(),
            precision=precision,
            calibration=calibration_from(job.data, size, seed) if precision == "int8" else None,
            usage=Usage.of_data(job.data, f"trained on {job.settings.data}, recipe {job.recipe.name}"),
            seed=seed,
        )
    except UserError as error:
        return {"failed": str(error)}
    return {**record.as_dict(), "accuracy_check": asdict(check)}
