"""Published weights in other projects' formats, loaded into our modules.

So far one format: the convolutions of a TFLite MobileNetV2 with batch norm folded in, as an npz of arrays
`NN_OPERATOR_w` (out, height, width, in; depthwise 1, height, width, channels) and `NN_OPERATOR_b` in running order.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from searchspace.modules import ConvBNAct, Network, empty_network
from searchspace.reference import reference
from searchspace.support.errors import UserError


def _arrays(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (weight, bias) pairs in running order."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            stems = sorted(name[:-2] for name in archive.files if name.endswith("_w"))
            return [(archive[f"{stem}_w"], archive[f"{stem}_b"]) for stem in stems]
    except FileNotFoundError:
        raise UserError(f"no such weights file: {path}") from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not an npz of convolution weights and biases: {error}") from None


def _fill(tensor: torch.Tensor, array: np.ndarray, path: Path) -> None:
    if tuple(tensor.shape) != array.shape:
        raise UserError(f"{path}: a layer of shape {array.shape} where the network has {tuple(tensor.shape)}")
    tensor.copy_(torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)))


def load_mobilenet_v2_npz(path: str | Path) -> Network:
    """Return MobileNetV2 1.0 with the weights of a TFLite file's npz, 1001 classes (0 is background).

    Inputs are RGB scaled to [-1, 1]. The folded batch norm becomes a convolution and a normalisation that only adds
    the bias, so the network can be fine-tuned and pruned. Raises UserError for other files or shapes.
    """
    path = Path(path)
    arrays = _arrays(path)
    network = empty_network(reference("mobilenet_v2").with_classes(1001))
    layers = [m for m in network.modules() if isinstance(m, ConvBNAct | nn.Linear)]
    if len(layers) != len(arrays):
        raise UserError(f"{path} has {len(arrays)} convolutions, MobileNetV2 has {len(layers)}")
    with torch.no_grad():
        for layer, (weight, bias) in zip(layers, arrays, strict=True):
            if isinstance(layer, nn.Linear):
                _fill(layer.weight, weight.reshape(weight.shape[0], -1), path)
                _fill(layer.bias, bias, path)
                continue
            # TFLite stores depthwise kernels as (1, h, w, channels), dense ones as (out, h, w, in).
            order = (3, 0, 1, 2) if layer.groups > 1 else (0, 3, 1, 2)
            _fill(layer.conv.weight, weight.transpose(order), path)
            _fill(layer.norm.bias, bias, path)
            layer.norm.reset_running_stats()
            layer.norm.running_var.fill_(1.0 - layer.norm.eps)  # type: ignore[union-attr]
            layer.norm.weight.fill_(1.0)
    return network
