"""An npz of a TFLite network's convolutions: `NN_OPERATOR_w` (out, h, w, in; depthwise 1, h, w, channels), `..._b`."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from nas.weights.file_layers import FileLayer
from searchspace.support.errors import UserError

MAX_BYTES = 2 * 2**30


def read_npz(path: Path) -> list[FileLayer]:
    """Return the layers in running order; raises UserError for files of another form."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > MAX_BYTES:
            raise UserError(f"{path} unpacks to more than {MAX_BYTES // 2**30} GiB, which no network of a phone needs")
        with np.load(path, allow_pickle=False) as arrays:
            stems = sorted(name[:-2] for name in arrays.files if name.endswith("_w"))
            if not stems:
                raise UserError(f"{path} holds no arrays called NUMBER_OPERATOR_w and NUMBER_OPERATOR_b")
            return [_layer(stem, arrays[f"{stem}_w"], arrays[f"{stem}_b"]) for stem in stems]
    except FileNotFoundError:
        raise UserError(f"no such weights file: {path}") from None
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError,
            NotImplementedError, SyntaxError, MemoryError, OverflowError) as error:  # fmt: skip
        raise UserError(f"{path} is not an npz of convolution weights and biases: {str(error)[:120]}") from None


def _layer(name: str, weight: np.ndarray, bias: np.ndarray) -> FileLayer:
    if not np.issubdtype(weight.dtype, np.floating):
        raise ValueError(f"'{name}_w' holds {weight.dtype} numbers without a scale, expected floats")
    if weight.ndim == 4:
        depthwise = weight.shape[0] == 1 and weight.shape[3] > 1 and bias.shape == (weight.shape[3],)
        weight = weight.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
    dense = np.ascontiguousarray(weight, dtype=np.float32)
    return FileLayer(name=name, weight=torch.from_numpy(dense), bias=torch.from_numpy(bias.astype(np.float32)))
