"""ONNX files through torch's exporter, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.export._check import Images, Outputs
from searchspace.support.optional import optional_import

if TYPE_CHECKING:
    from torch import nn

INPUT, OUTPUT = "image", "scores"


def onnx_model(
    network: nn.Module, size: int, properties: Mapping[str, str], outputs: Sequence[str] = (OUTPUT,)
) -> bytes:
    """Return the ONNX file of a network for one image (1, 3, size, size); raises UserError without the extra `onnx`.

    `outputs` are their names, in the order in which the network gives them.
    """
    import torch

    from latency_lut.tflite.runtime import quiet

    for package in ("onnx", "onnxscript", "onnxruntime"):
        optional_import(package, purpose="exporting to ONNX", extra="onnx")
    with quiet():
        program = torch.onnx.export(
            network.eval(),
            (torch.zeros(1, 3, size, size),),
            dynamo=True,
            verbose=False,
            input_names=[INPUT],
            output_names=list(outputs),
        )
    assert program is not None
    model = program.model_proto
    for name, value in properties.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, value
    content: bytes = model.SerializeToString()
    return content


def open_onnx(content: bytes, threads: int) -> tuple[Callable[[Images], Outputs], str]:
    """Return what runs images (count, 3, size, size) one by one, and the name of the runtime."""
    run, runtime = open_onnx_named(content, (OUTPUT,), threads)
    return lambda images: run(images)[OUTPUT], runtime


def open_onnx_named(
    content: bytes, outputs: Sequence[str], threads: int = 1
) -> tuple[Callable[[Images], dict[str, Outputs]], str]:
    """Return what runs images (count, 3, size, size) one by one and gives the outputs by name, and the runtime."""
    runtime: Any = optional_import("onnxruntime", purpose="running an ONNX file", extra="onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(images: Images) -> dict[str, Outputs]:
        rows = [session.run(list(outputs), {INPUT: image[None]}) for image in images]
        return {name: np.concatenate([row[number] for row in rows]) for number, name in enumerate(outputs)}

    return run, f"onnxruntime {runtime.__version__}"
