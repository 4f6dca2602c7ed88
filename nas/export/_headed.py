"""Networks with a detection or segmentation head as TFLite and ONNX files, outputs by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import nas
from nas.export._calibration import NO_IMAGES, Calibration
from nas.export._check import Images, Outputs, largest_error, noise
from nas.export._formats import timed_calls
from nas.export._onnx import onnx_model, open_onnx_named
from nas.export._record import ExportRecord, host_name
from nas.export._tflite import (
    AGREEMENT,
    FLOAT16,
    FLOAT32,
    INT8,
    PRECISIONS,
    TRAINED,
    UNTRAINED,
    quantised,
    require_agreement,
    timed_file,
)
from nas.export._usage import LABELS_KEY, USAGE_KEY, WEIGHTS_KEY
from searchspace.support.errors import UserError
from searchspace.support.files import write_atomic

if TYPE_CHECKING:
    from searchspace.modules.headed import HeadedModule

Named = dict[str, Outputs]
HEADED_FORMATS = {"tflite": PRECISIONS, "onnx": (FLOAT32,)}
MEANINGS = {
    "detection": {
        "boxes": "for each anchor dy, dx, dh, dw, to be decoded with nas.tasks.detection.decode_boxes",
        "scores": "for each anchor a score of background and of each class, before softmax",
    },
    "segmentation": {"scores": "for each class and pixel a score, before softmax; classes last in TFLite"},
}


def export_headed(
    module: HeadedModule,
    path: Path,
    *,
    trained: bool,
    form: str = "tflite",
    precision: str = FLOAT32,
    labels: Sequence[str] | None = None,
    preparation: Mapping[str, Any] | None = None,
    origin: str = "",
    calibration: Calibration | None = None,
    seed: int = 0,
) -> ExportRecord:
    """Write a network with its head, run it on two images, compare every output with torch's and time it.

    An int8 file without `calibration` takes its ranges from noise and says so. Raises UserError for a format or
    precision that heads do not have, a missing package, or outputs of a float file that differ, in which case no file
    is left.
    """
    if precision not in HEADED_FORMATS.get(form, ()):
        listed = "; ".join(f"{name}: {', '.join(known)}" for name, known in HEADED_FORMATS.items())
        raise UserError(f"a network with a head is not exported to {form} in {precision}, expected one of {listed}")
    from latency_lut.tflite.kernels import fallbacks
    from latency_lut.tflite.runtime import runtime_version

    size, weights = module.architecture.resolution, TRAINED if trained else UNTRAINED
    images = noise(2, size, seed) if calibration is None else calibration.images[:2]
    expected = torch_named(module, images)
    dtype = INT8 if precision == INT8 else FLOAT32
    document = headed_document(module, expected, form, dtype, labels, preparation, origin)
    stored: Literal["float32", "float16"] = FLOAT16 if precision == FLOAT16 else FLOAT32
    if form == "tflite":
        content = _tflite(module, size, stored, document, weights)
        run, runtime = run_headed(content), runtime_version()
    else:
        properties = {WEIGHTS_KEY: weights, USAGE_KEY: json.dumps(document, ensure_ascii=False)}
        content = onnx_model(module, size, properties, tuple(expected))
        run, runtime = open_onnx_named(content, tuple(expected))
    error = _error(run(images), expected)
    require_agreement(error, AGREEMENT[stored])
    source = None
    if precision == INT8:
        content = quantised(content, calibration, seed)
        run = run_headed(content)
        error = _error(run(images), expected)
        source = NO_IMAGES if calibration is None else calibration.source
    write_atomic(path, content)
    if labels is not None:
        write_atomic(path.with_name("labels.txt"), "".join(f"{label}\n" for label in labels))
    timing = timed_file(content, precision) if form == "tflite" else None
    milliseconds, spread, runs = timing or timed_calls(lambda image: run(image), images[:1], threads_of_its_own=False)
    return ExportRecord(
        file=path.name,
        format=form,
        precision=precision,
        weights=weights,
        resolution=size,
        size_bytes=len(content),
        output_error=error,
        calibration=source,
        fallbacks=fallbacks(content) if form == "tflite" else {},
        host_latency_ms=milliseconds,
        host_spread=spread,
        host_runs=runs,
        host_threads=1,
        host=host_name(),
        runtime=runtime,
        usage=document,
    )


def torch_named(module: HeadedModule, images: Images) -> Named:
    """Return the outputs by name in evaluation mode, batch first."""
    import torch

    with torch.inference_mode():
        found = module.eval()(torch.from_numpy(images))
    return {name: tensor.numpy() for name, tensor in found.items()}


def headed_document(
    module: HeadedModule,
    outputs: Mapping[str, Outputs],
    form: str,
    dtype: str,
    labels: Sequence[str] | None,
    preparation: Mapping[str, Any] | None,
    origin: str,
) -> dict[str, Any]:
    """Return what the file says of its use, as JSON-ready values."""
    head, size = module.network.head, module.architecture.resolution
    channel_last = form == "tflite"
    shape = [1, size, size, 3] if channel_last else [1, 3, size, size]
    document: dict[str, Any] = {
        "task": head.task,
        "input": {
            "shape": shape,
            "layout": "NHWC" if channel_last else "NCHW",
            "channels": "RGB",
            "dtype": dtype,
            **(preparation or {}),
        },
        "outputs": {
            name: {"shape": _shape(values, channel_last), "dtype": dtype, "meaning": MEANINGS[head.task][name]}
            for name, values in outputs.items()
        },
        "labels": None if labels is None else list(labels),
        "weights": origin,
        "architecture": str(module.architecture),
        "head": {"name": head.name, "classes": head.classes},
    }
    if head.task == "detection":
        document["anchors"] = "nas.tasks.detection.anchors_of(head, size): (anchors, 4) as cy, cx, h, w, from 0 to 1"
    return document


def _shape(values: Outputs, channel_last: bool) -> list[int]:
    """Return the shape for one image."""
    one = (1, *values.shape[1:])
    return [one[0], *one[2:], one[1]] if channel_last and len(one) == 4 else list(one)


def _tflite(
    module: HeadedModule, size: int, stored: Literal["float32", "float16"], document: dict[str, Any], weights: str
) -> bytes:
    from latency_lut.tflite import module_model
    from latency_lut.tflite.metadata import described

    content = module_model(module, (1, 3, size, size), weights=stored)
    entries = {WEIGHTS_KEY: weights.encode(), USAGE_KEY: json.dumps(document, ensure_ascii=False).encode()}
    if document["labels"] is not None:
        entries[LABELS_KEY] = json.dumps(document["labels"], ensure_ascii=False).encode()
    return described(content, f"nas {nas.__version__}: {weights} weights", entries)


def run_headed(model: str | Path | bytes) -> Callable[[Images], Named]:
    """Return what runs channel-first images through a TFLite file and gives its outputs by name, channel-first too."""
    from latency_lut.tflite.runtime import run_named

    def run(images: Images) -> Named:
        found = run_named(model, np.moveaxis(images, 1, -1))
        return {name: np.moveaxis(one, -1, 1) if one.ndim == 4 else one for name, one in found.items()}

    return run


def _error(found: Named, expected: Named) -> float:
    return max(largest_error(found[name], expected[name]) for name in expected)
