"""Networks with a detection or segmentation head as TFLite and ONNX files, outputs by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import nas
from nas.export._check import Images, Outputs, largest_error, noise
from nas.export._formats import timed_calls
from nas.export._onnx import onnx_model, open_onnx_named
from nas.export._record import ExportRecord, host_name
from nas.export._tflite import AGREEMENT, FLOAT16, FLOAT32, TRAINED, UNTRAINED, require_agreement, timed_file
from nas.export._usage import LABELS_KEY, USAGE_KEY, WEIGHTS_KEY
from searchspace.support.errors import UserError
from searchspace.support.files import write_atomic

if TYPE_CHECKING:
    from searchspace.modules.headed import HeadedModule

Named = dict[str, Outputs]
HEADED_FORMATS = {"tflite": (FLOAT32, FLOAT16), "onnx": (FLOAT32,)}
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
    seed: int = 0,
) -> ExportRecord:
    """Write a network with its head, run it on two images, compare every output with torch's and time it.

    Raises UserError for a format or precision that heads do not have, a missing package, or outputs that differ, in
    which case no file is left.
    """
    if precision not in HEADED_FORMATS.get(form, ()):
        listed = "; ".join(f"{name}: {', '.join(known)}" for name, known in HEADED_FORMATS.items())
        raise UserError(f"a network with a head is not exported to {form} in {precision}, expected one of {listed}")
    size, weights = module.architecture.resolution, TRAINED if trained else UNTRAINED
    images = noise(2, size, seed)
    expected = torch_named(module, images)
    document = headed_document(module, expected, form, labels, preparation, origin)
    stored: Literal["float32", "float16"] = "float16" if precision == FLOAT16 else "float32"
    if form == "tflite":
        content, run, runtime = _tflite(module, size, stored, document, weights)
    else:
        properties = {WEIGHTS_KEY: weights, USAGE_KEY: json.dumps(document, ensure_ascii=False)}
        content = onnx_model(module, size, properties, tuple(expected))
        run, runtime = open_onnx_named(content, tuple(expected))
    found = run(images)
    error = max(largest_error(found[name], expected[name]) for name in expected)
    require_agreement(error, AGREEMENT[stored])
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
            "dtype": FLOAT32,
            **(preparation or {}),
        },
        "outputs": {
            name: {"shape": _shape(values, channel_last), "dtype": FLOAT32, "meaning": MEANINGS[head.task][name]}
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
) -> tuple[bytes, Callable[[Images], Named], str]:
    from latency_lut.tflite import module_model
    from latency_lut.tflite.metadata import described
    from latency_lut.tflite.runtime import run_named, runtime_version

    content = module_model(module, (1, 3, size, size), weights=stored)
    entries = {WEIGHTS_KEY: weights.encode(), USAGE_KEY: json.dumps(document, ensure_ascii=False).encode()}
    if document["labels"] is not None:
        entries[LABELS_KEY] = json.dumps(document["labels"], ensure_ascii=False).encode()
    content = described(content, f"nas {nas.__version__}: {weights} weights", entries)

    def run(images: Images) -> Named:
        found = run_named(content, np.moveaxis(images, 1, -1))
        return {name: np.moveaxis(one, -1, 1) if one.ndim == 4 else one for name, one in found.items()}

    return content, run, runtime_version()
