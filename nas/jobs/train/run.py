"""A whole training run in its folder: log, checkpoint, weights, accuracy, picture, exported model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from nas.export import Usage
from nas.jobs.epochs import EpochLog
from nas.jobs.train.files import CHECKPOINT, CURVE, export_network, training_result
from nas.jobs.train.page import train_page
from nas.jobs.train.prepare import TrainJob
from nas.report.curve import draw_curve
from nas.report.drawing import write_picture
from nas.runs.folder import REPORT
from nas.training import distributed
from nas.training.checkpoint import Checkpoints
from nas.training.evaluation import evaluate
from nas.training.history import Observer
from nas.training.loop import train
from nas.training.quantisation import evaluate_rounded, rounded_step
from searchspace.weights import WEIGHTS_FILE, save_weights
from searchspace.yaml_io import save_architecture


def run_job(job: TrainJob, observer: Observer, *, checkpoint_seconds: float, export: bool) -> dict[str, Any]:
    """Train, test once, and write everything into the run's folder; return the result that is also written
    there.

    In all processes but the first of a distributed run only the training happens and the result is empty.
    Raises what `nas.training.train` raises.
    """
    network, folder = job.start.network, job.folder
    checkpoints = Checkpoints(path=folder.file(CHECKPOINT), every_seconds=checkpoint_seconds, resume=job.resume)
    log = EpochLog(folder, observer) if distributed.is_first() else None
    how: dict[str, Any] = {}
    if job.settings.quantisation_aware:
        how = {"take_step": rounded_step, "evaluation": evaluate_rounded, "identity": {"rounding": "int8"}}
    history = train(
        network,
        job.data,
        job.recipe,
        seed=job.settings.seed,
        execution=job.execution,
        checkpoints=checkpoints,
        observer=log,
        **how,
    )
    if not distributed.is_first():
        return {}
    test = evaluate(network, job.tested.batches(job.execution.evaluation_batch))
    notes = Usage.of_data(job.data).file_notes()
    save_weights(network, folder.file(WEIGHTS_FILE), data=job.settings.data, recipe=job.recipe.name, **notes)
    save_architecture(job.start.asked, folder.file("architecture.yaml"))
    title = f"{job.settings.network if ',' not in job.settings.network else 'network'} on {job.settings.data}"
    write_picture(folder, CURVE, lambda: draw_curve(history, title))
    result = training_result(job, history, test)
    result["export"] = export_network(network, job) if export else None
    folder.write(REPORT, train_page(result, history, network.architecture, asdict(job.settings)))
    folder.finish(result)
    return result
