"""TFLite's metadata table: what a classifier's file says of its input and its labels.

The table is a FlatBuffer of its own (metadata_schema.fbs of tensorflow/tflite-support); the few fields read here are
addressed by their places in that schema.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchspace.support.errors import UserError
from searchspace.support.optional import optional_import

NAME = "TFLITE_METADATA"
# Places of fields: ModelMetadata.subgraph_metadata, SubGraphMetadata.input_tensor_metadata,
# TensorMetadata.process_units, ProcessUnit.options_type and .options, NormalizationOptions.mean and .std.
_SUBGRAPHS, _INPUTS, _UNITS, _OPTIONS_TYPE, _OPTIONS, _MEAN, _STD = 3, 2, 4, 0, 1, 0, 1
_NORMALIZATION = 1


@dataclass(frozen=True)
class Described:
    """Mean and standard deviation of pixels from 0 to 255 (1 or 3 numbers), and the labels; None where not said.

    `own` marks a file that this project exported; `crop`, which only those say, is the side of the centre crop over
    that of the scaled image.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    labels: tuple[str, ...] | None = None
    own: bool = False
    crop: float | None = None


def describe(entries: Mapping[str, bytes], path: Path) -> Described:
    """Return what a file's metadata buffers say of it; raises UserError for a damaged table."""
    labels = _labels(entries.get("nas.labels"), path)
    own, crop = "nas.weights" in entries, _crop(entries.get("nas.usage"), path)
    if not entries.get(NAME):
        return Described(labels=labels, own=own)
    table = optional_import("flatbuffers.table", purpose="reading a TFLite file", extra="litert").Table
    content = bytearray(entries[NAME])
    try:
        root = table(content, struct.unpack_from("<I", content)[0])
        for unit in _tables(table, _only(table, _only(table, root, _SUBGRAPHS), _INPUTS), _UNITS):
            kind = unit.Offset(4 + 2 * _OPTIONS_TYPE)
            place = unit.Offset(4 + 2 * _OPTIONS)
            if not kind or not place or content[kind + unit.Pos] != _NORMALIZATION:
                continue
            options = table(content, unit.Indirect(place + unit.Pos))
            return Described(_floats(options, _MEAN), _floats(options, _STD), labels, own, crop)
    except (struct.error, IndexError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: the metadata of the TFLite file is damaged ({error})") from None
    return Described(labels=labels, own=own)


def _tables(table: Any, parent: Any, field: int) -> list[Any]:
    if parent is None or not (offset := parent.Offset(4 + 2 * field)):
        return []
    count = min(parent.VectorLen(offset), 64)
    start = parent.Vector(offset)
    return [table(parent.Bytes, parent.Indirect(start + 4 * index)) for index in range(count)]


def _only(table: Any, parent: Any, field: int) -> Any:
    found = _tables(table, parent, field)
    return found[0] if found else None


def _floats(options: Any, field: int) -> tuple[float, ...] | None:
    offset = options.Offset(4 + 2 * field)
    if not offset or options.VectorLen(offset) not in (1, 3):
        return None
    return struct.unpack_from(f"<{options.VectorLen(offset)}f", options.Bytes, options.Vector(offset))


def _crop(data: bytes | None, path: Path) -> float | None:
    """Return the crop that this project's own exports keep with the rest of how to use them."""
    if data is None:
        return None
    try:
        crop = json.loads(data)["input"].get("crop")
        if crop is None or (isinstance(crop, int | float) and 0 < crop <= 1):
            return None if crop is None else float(crop)
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        pass
    raise UserError(f"{path}: what the TFLite file says of its use is damaged")


def _labels(data: bytes | None, path: Path) -> tuple[str, ...] | None:
    """Return the labels that this project's own exports keep."""
    if data is None:
        return None
    try:
        names = json.loads(data)
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return tuple(names)
    except (ValueError, RecursionError):
        pass
    raise UserError(f"{path}: the labels in the TFLite file are damaged")
