"""TFLite's metadata table, by which other tools know how an image classifier is fed and what its outputs are called.

The table is a FlatBuffer of its own (tensorflow/tflite-support, metadata_schema.fbs, version 1); fields are written by
their places in that schema. Label files are packed behind the model as a zip file, as the schema asks.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

METADATA_NAME = "TFLITE_METADATA"
LABELS_FILE = "labels.txt"
_RGB, _IMAGE_PROPERTIES, _NORMALIZATION, _AXIS_LABELS = 1, 2, 1, 2


@dataclass(frozen=True, kw_only=True)
class ImageClassifier:
    """What the table says: `mean` and `std` of pixels from 0 to 255, None where the network takes them as they are."""

    name: str
    description: str
    size: int
    mean: Sequence[float] | None
    std: Sequence[float] | None
    labelled: bool


def usage_table(classifier: ImageClassifier) -> bytes:
    """Return the content of the metadata buffer `TFLITE_METADATA`."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    table = _Tables(builder)
    image = {0: table.text("image"), 1: table.text(_INPUT), 3: _content(table, classifier.size)}
    if classifier.mean is not None:
        image[4] = table.vector([_normalisation(table, classifier)])
    input_tensor = table.made(7, image)
    files = {6: table.vector([_label_file(table)])} if classifier.labelled else {}
    output_tensor = table.made(7, {0: table.text("scores"), 1: table.text(_OUTPUT)} | files)
    subgraph = table.made(7, {2: table.vector([input_tensor]), 3: table.vector([output_tensor])})
    root = table.made(
        8,
        {
            0: table.text(classifier.name),
            1: table.text(classifier.description),
            3: table.vector([subgraph]),
            7: table.text("1.0.0"),
        },
    )
    builder.Finish(root, file_identifier=b"M001")
    return bytes(builder.Output())


def with_labels(content: bytes, labels: Sequence[str]) -> bytes:
    """Return a TFLite file with its labels packed behind it, one a line; runtimes do not look there."""
    packed = io.BytesIO()
    packed.write(content)
    entry = zipfile.ZipInfo(LABELS_FILE, date_time=(1980, 1, 1, 0, 0, 0))  # the same labels give the same bytes
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(entry, labels_text(labels))
    return packed.getvalue()


def labels_text(labels: Sequence[str]) -> str:
    """Return labels one a line; line breaks inside a label become spaces."""
    return "".join(" ".join(label.split()) + "\n" for label in labels)


_INPUT = "RGB image, channel-last"
_OUTPUT = "one score a class, before softmax"


def _content(table: _Tables, size: int) -> int:
    builder = table.builder
    builder.StartObject(2)
    builder.PrependUint32Slot(0, size, 0)
    builder.PrependUint32Slot(1, size, 0)
    default_size = builder.EndObject()
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(1, default_size, 0)
    builder.PrependInt8Slot(0, _RGB, 0)
    properties = builder.EndObject()
    return table.union(3, _IMAGE_PROPERTIES, properties)


def _normalisation(table: _Tables, classifier: ImageClassifier) -> int:
    assert classifier.mean is not None and classifier.std is not None
    options = table.made(2, {0: table.floats(classifier.mean), 1: table.floats(classifier.std)})
    return table.union(2, _NORMALIZATION, options)


def _label_file(table: _Tables) -> int:
    builder = table.builder
    name, description = table.text(LABELS_FILE), table.text("names of the classes in the order of the scores")
    builder.StartObject(5)
    builder.PrependUOffsetTRelativeSlot(0, name, 0)
    builder.PrependUOffsetTRelativeSlot(1, description, 0)
    builder.PrependInt8Slot(2, _AXIS_LABELS, 0)
    return int(builder.EndObject())


class _Tables:
    """Tables of offsets in a FlatBuffer under construction."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def text(self, value: str) -> int:
        return int(self.builder.CreateString(value))

    def made(self, fields: int, offsets: dict[int, int]) -> int:
        self.builder.StartObject(fields)
        for place, offset in offsets.items():
            self.builder.PrependUOffsetTRelativeSlot(place, offset, 0)
        return int(self.builder.EndObject())

    def union(self, fields: int, kind: int, offset: int) -> int:
        """Return a table whose first two fields are a union: its type and its value."""
        self.builder.StartObject(fields)
        self.builder.PrependUOffsetTRelativeSlot(1, offset, 0)
        self.builder.PrependUint8Slot(0, kind, 0)
        return int(self.builder.EndObject())

    def vector(self, offsets: Sequence[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def floats(self, values: Sequence[float]) -> int:
        self.builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self.builder.PrependFloat32(value)
        return int(self.builder.EndVector())
