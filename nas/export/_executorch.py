"""ExecuTorch programs with the XNNPACK backend, run by ExecuTorch's runtime."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.export._check import Images, Outputs
from searchspace.support.optional import optional_import

if TYPE_CHECKING:
    from torch import nn


def executorch_program(network: nn.Module, size: int) -> bytes:
    """Return the program of a network for one image (1, 3, size, size); raises UserError without `executorch`."""
    import torch

    from latency_lut.tflite.runtime import quiet

    with quiet():
        exir = _imported("executorch.exir")
        partitioner = _imported("executorch.backends.xnnpack.partition.xnnpack_partitioner")
        exported = torch.export.export(network.eval(), (torch.zeros(1, 3, size, size),))
        lowered = exir.to_edge_transform_and_lower(exported, partitioner=[partitioner.XnnpackPartitioner()])
        return bytes(lowered.to_executorch().buffer)


def open_executorch(content: bytes) -> tuple[Callable[[Images], Outputs], str]:
    """Return what runs images (count, 3, size, size) one by one, and the name of the runtime."""
    import torch

    from latency_lut.tflite.runtime import quiet

    with quiet():
        runtime = _imported("executorch.runtime").Runtime.get()
        method = runtime.load_program(content).load_method("forward")

    def run(images: Images) -> Outputs:
        return np.concatenate([method.execute([torch.from_numpy(image[None])])[0].numpy() for image in images])

    return run, f"executorch {metadata.version('executorch')} (XNNPACK)"


def _imported(module: str) -> Any:
    return optional_import(module, purpose="exporting to ExecuTorch", extra="executorch")
