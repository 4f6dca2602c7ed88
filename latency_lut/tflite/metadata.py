"""What a TFLite file says of itself: a description and named buffers, written and read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from latency_lut.tflite.runtime import schema, unpacked


def described(content: bytes, description: str, entries: Mapping[str, bytes]) -> bytes:
    """Return the file with a description and metadata entries, which replace earlier ones of the same name."""
    import flatbuffers

    made = schema("writing TFLite models")
    model = unpacked(content)
    model.description = description
    kept = [entry for entry in model.metadata or () if entry.name.decode() not in entries]
    model.metadata = [*kept, *(_entry(made, model, name, data) for name, data in entries.items())]
    builder = flatbuffers.Builder(len(content) + 4096)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _entry(made: Any, model: Any, name: str, data: bytes) -> Any:
    buffer, entry = made.BufferT(), made.MetadataT()
    buffer.data = np.frombuffer(data, np.uint8)
    entry.name, entry.buffer = name, len(model.buffers)
    model.buffers.append(buffer)
    return entry
