"""Training a network with a detection or segmentation head, in a run's folder: weights, log, score, exported model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nas.data._sources import IMAGENET_STATISTICS
from nas.data.dense import DenseData, load_dense
from nas.export import export_headed
from nas.jobs.epochs import EpochLog
from nas.jobs.train.files import CHECKPOINT, MODEL
from nas.jobs.train.settings import DenseSettings
from nas.runs import RunFolder, RunPlace
from nas.tasks import DEFAULT_HEADS, Task, task_for
from nas.training.checkpoint import Checkpoints
from nas.training.evaluation import evaluate_task, evaluated_on_test
from nas.training.execution import Execution
from nas.training.history import Observer
from nas.training.loop import train
from nas.training.recipes import Recipe
from nas.training.start import find_weights
from nas.training.step import training_step
from nas.weights import open_weights
from searchspace.heads import HeadedNetwork, head
from searchspace.modules.headed import HeadedModule, build_headed
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError
from searchspace.weights import HEADED_FILE, save_headed
from searchspace.yaml_io import save_architecture


@dataclass(frozen=True, kw_only=True)
class DenseJob:
    """A run that is ready to start."""

    settings: DenseSettings
    execution: Execution
    recipe: Recipe
    data: DenseData
    module: HeadedModule
    task: Task
    weights: str
    folder: RunFolder
    resume: bool


def prepare_dense(
    settings: DenseSettings,
    execution: Execution,
    out: Path | RunPlace,
    *,
    resume: bool = False,
    beside: Mapping[str, Any] | None = None,
) -> DenseJob:
    """Check the settings, load the data, build the network and open the run's folder; raises UserError before that.

    `beside` is noted in the folder: what was asked for beside the settings.
    """
    if settings.task not in DEFAULT_HEADS:
        known = ", ".join(("classification", *DEFAULT_HEADS))
        raise UserError(f"unknown task {settings.task[:40]!r}, expected one of {known}")
    chosen = settings.chosen_recipe()
    architecture = resolve_network(settings.network)
    if settings.image_size is not None:
        architecture = architecture.with_resolution(settings.image_size)
    # With any number of classes: a head without its feature maps, or of another task, is refused before data is read.
    kind = head(settings.head or DEFAULT_HEADS[settings.task])
    if kind.task != settings.task:
        raise UserError(f"the head {kind.name} is for {kind.task}, not for {settings.task}")
    HeadedNetwork(architecture, kind)
    data = load_dense(settings.data, settings.task, architecture.resolution, settings.seed, settings.subset)
    made = head(kind.name, len(data.classes))
    module = build_headed(HeadedNetwork(architecture, made), seed=settings.seed)
    task = task_for(made, architecture.resolution)
    task.meter()  # a missing package is better found before the training than after it
    weights = backbone_weights(module, settings.network, settings.weights, settings.from_scratch)
    folder = _open(out, {**asdict(settings), "execution": asdict(execution)}, resume, beside)
    return DenseJob(
        settings=settings,
        execution=execution,
        recipe=chosen,
        data=data,
        module=module,
        task=task,
        weights=weights or f"fresh, seed {settings.seed}",
        folder=folder,
        resume=resume,
    )


def run_dense(job: DenseJob, observer: Observer, *, checkpoint_seconds: float, export: bool) -> dict[str, Any]:
    """Train, test once, write everything into the run's folder; return what `result.json` holds."""
    folder, module, data, task = job.folder, job.module, job.data, job.task
    evaluation = partial(evaluate_task, task=task)
    history = train(
        module,
        data,
        job.recipe,
        seed=job.settings.seed,
        execution=job.execution,
        checkpoints=Checkpoints(path=folder.file(CHECKPOINT), every_seconds=checkpoint_seconds, resume=job.resume),
        observer=EpochLog(folder, observer),
        take_step=partial(training_step, task=task),
        evaluation=evaluation,
        identity={"task": str(task), "data": f"{data.spec} at {data.image_size} px, seed {job.settings.seed}"},
    )
    test = evaluation(module, data.test.batches(job.execution.evaluation_batch))
    network = module.network
    labels = json.dumps(list(data.classes), ensure_ascii=False)
    save_headed(module, folder.file(HEADED_FILE), labels=labels, data=data.spec, task=task.name)
    save_architecture(network.architecture, folder.file("architecture.yaml"))
    result = {
        "network": job.settings.network,
        "architecture": str(network.architecture),
        "task": task.name,
        "head": network.head.name,
        "labels": list(data.classes),
        "data": data.spec,
        "evaluated": evaluated_on_test(network.architecture, data.spec),
        "data_notes": list(data.notes),
        "image_size": data.image_size,
        "train_images": len(data.train),
        "params": network.params,
        "madds": network.madds,
        "weights": job.weights,
        "recipe": asdict(job.recipe),
        "seed": job.settings.seed,
        "test": asdict(test),
        "search": asdict(history.final.search),
        "seconds": sum(record.seconds for record in history.epochs),
        "warnings": [] if test.value > 0 else [f"{test.metric} is 0: the network has learnt nothing; train longer"],
        "export": _export(job) if export else None,
    }
    folder.finish(result)
    return result


def preparation_document() -> dict[str, Any]:
    """Return how images are prepared, as exported files say it."""
    mean, std = IMAGENET_STATISTICS
    scaled = "pixels scaled to [0, 1], minus mean, over std, for each of the channels"
    return {"range": scaled, "mean": list(mean), "std": list(std), "resize": "stretched to a square, bilinear"}


def _export(job: DenseJob) -> dict[str, Any]:
    """Export the trained network; a missing package does not spoil a finished training."""
    import torch

    job.module.to(device="cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    try:
        record = export_headed(
            job.module,
            job.folder.file(MODEL),
            trained=True,
            labels=job.data.classes,
            preparation=preparation_document(),
            origin=f"trained on {job.data.spec}, recipe {job.recipe.name}",
            seed=job.settings.seed,
        )
    except UserError as error:
        return {"failed": str(error)}
    return record.as_dict()


def backbone_weights(module: HeadedModule, network: str, weights: str | None, from_scratch: bool) -> str | None:
    """Give the backbone a classifier's weights, those named or a run folder's; return in words where they are from.

    None where there are none; raises UserError where they do not fit.
    """
    found = find_weights(network, weights, from_scratch)
    if found is None:
        return None
    opened = open_weights(found, module.architecture)
    wanted = module.backbone.state_dict()
    fitting = {name: value for name, value in opened.state.items() if name in wanted}
    wrong = [name for name, value in wanted.items() if name not in fitting or fitting[name].shape != value.shape]
    if wrong:
        raise UserError(f"{opened.info.source} does not fit the backbone: {wrong[0]} is missing or of another shape")
    module.backbone.load_state_dict(fitting)
    return f"backbone from {opened.info.source}, head fresh"


def _open(out: Path | RunPlace, settings: dict[str, Any], resume: bool, beside: Mapping[str, Any] | None) -> RunFolder:
    folder = RunFolder.reopen(out, settings) if resume else RunFolder.create(out, settings, "train", beside)
    if folder.is_complete:
        raise UserError(f"{folder.path} holds a finished run: nothing to resume; choose another --out to train again")
    return folder
