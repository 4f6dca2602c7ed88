"""The files of a training run: the result and the exported model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from nas.data import sample
from nas.export import Usage, preparation_of
from nas.jobs.train.prepare import TrainJob
from nas.training.evaluation import Accuracy, chance_warning, evaluated_on_test
from nas.training.history import History
from searchspace.modules import Network
from searchspace.support.errors import UserError

CHECKPOINT = "checkpoint.pt"
CURVE = "curve.png"
MODEL = "model.tflite"
# The exported file classifies one image at a time, so its accuracy is compared on this many test images.
EXPORT_CHECK_IMAGES = 512


def training_result(job: TrainJob, history: History, test: Accuracy) -> dict[str, Any]:
    """Return what `result.json` says of a finished training, all but the export."""
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
        "evaluated": evaluated_on_test(running, job.settings.data),
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


def export_network(network: Network, job: TrainJob) -> dict[str, Any]:
    """Export the trained network and compare the file's accuracy with PyTorch's on test images.

    A missing converter does not spoil a finished training: the reason stands in the result instead.
    """
    import torch

    from nas.export import calibration_from, export_trained, precision_of

    chosen = "int8" if job.settings.quantisation_aware else job.settings.precision
    precision, seed = chosen or precision_of(job.settings.network), job.settings.seed
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
