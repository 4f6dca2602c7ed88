"""Exporting networks with a detection or segmentation head: of a training run, or of any network with --head."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas.data.dense import DenseData, load_dense
from nas.export import CALIBRATION_IMAGES, Calibration, ExportRecord, export_headed, run_headed
from nas.jobs.export.settings import ExportSettings, run_settings
from nas.jobs.train.dense import backbone_weights, preparation_document
from nas.tasks import task_for
from nas.training.evaluation import evaluate_task
from searchspace.heads import HeadedNetwork, head
from searchspace.modules.headed import HeadedModule, build_headed
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError
from searchspace.weights import HEADED_FILE, load_headed

_BATCH = 32  # images evaluated at once


def is_headed_run(network: str) -> bool:
    """Tell whether NETWORK is the folder of a run that trained a network with a head."""
    return "," not in network and (Path(network) / HEADED_FILE).is_file()


def export_with_head(settings: ExportSettings, out: Path) -> tuple[ExportRecord, list[str]]:
    """Export, run, compare and time; return what was made and what is to be said of it.

    An int8 file takes its ranges from training images of --data, else of the run's own data; a trained one is tested
    on its test images. Raises UserError for options that heads do not have and as `export_headed` does.
    """
    precision = settings.precision or "float32"
    if settings.at_ms is not None:
        raise UserError("--at: not for a network with a head")
    if settings.data is not None and precision != "int8":
        raise UserError(f"--data {settings.data[:60]} sets the ranges of int8: add --precision int8")
    trained = is_headed_run(settings.network)
    module, about, spec = _trained(settings) if trained else _fresh(settings)
    data = None
    if precision == "int8" and spec is not None:
        data = _load(settings, module, spec, trained)
    record = export_headed(
        module,
        out,
        trained=trained,
        form=settings.format,
        precision=precision,
        calibration=None if data is None else _calibration(data, settings.seed),
        seed=settings.seed,
        **about,
    )
    if trained and data is not None:
        record = replace(record, score=_scored(module, out, data))
    return replace(record, file=str(out)), record.remarks


def _load(settings: ExportSettings, module: HeadedModule, spec: str, trained: bool) -> DenseData:
    network = module.network
    seed = run_settings(settings.network).get("seed", settings.seed)  # the run's test images are not its training ones
    data = load_dense(spec, network.head.task, network.resolution, seed)
    if trained and len(data.classes) != network.head.classes:
        raise UserError(
            f"{spec} has {len(data.classes)} classes, the network of {settings.network} {network.head.classes}"
        )
    return data


def _calibration(data: DenseData, seed: int) -> Calibration:
    drawn = np.random.default_rng(seed).permutation(len(data.train))[:CALIBRATION_IMAGES]
    images = data.train.images_at(torch.from_numpy(drawn)).numpy()
    return Calibration(images, f"{len(images)} training images of {data.spec}")


def _scored(module: HeadedModule, file: Path, data: DenseData) -> dict[str, Any]:
    """Return what torch and the file reach on the test images."""
    task = task_for(module.network.head, data.image_size)
    expected = evaluate_task(module, data.test.batches(_BATCH), task)
    meter, run = task.meter(), run_headed(file)
    for images, targets in data.test.batches(_BATCH):
        meter.update({name: torch.from_numpy(one) for name, one in run(images.numpy()).items()}, targets)
    return {
        "metric": task.metric,
        "torch": expected.value,
        "file": meter.values()[task.metric],
        "images": expected.count,
    }


def _trained(settings: ExportSettings) -> tuple[HeadedModule, dict[str, Any], str | None]:
    """Return the network of a training run, what is known of its use, and the data to calibrate by."""
    if settings.head is not None or settings.weights is not None or settings.classes is not None:
        raise UserError(f"{settings.network} has its head and weights: leave --head, --classes and --weights out")
    module, notes = load_headed(Path(settings.network) / HEADED_FILE)
    labels = json.loads(notes.get("labels", "null"))
    known = isinstance(labels, list) and len(labels) == module.network.head.classes
    about = {
        "labels": [str(label) for label in labels] if known else None,
        "preparation": preparation_document(),
        "origin": f"trained on {notes.get('data', 'unknown data')}",
    }
    return module, about, settings.data or notes.get("data")


def _fresh(settings: ExportSettings) -> tuple[HeadedModule, dict[str, Any], str | None]:
    """Return a network with a head that was not trained; its backbone takes a classifier's weights where given."""
    assert settings.head is not None
    network = HeadedNetwork(resolve_network(settings.network), head(settings.head, settings.classes))
    module = build_headed(network, seed=settings.seed)
    origin = backbone_weights(module, settings.network, settings.weights, from_scratch=False)
    return module, {"origin": origin or f"random numbers, seed {settings.seed}"}, settings.data
