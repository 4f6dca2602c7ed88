"""How an exported file is used: what goes in, what comes out, where both are from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latency_lut import LatencyTable, Prediction
    from nas.data import Data
    from nas.weights import Preparation

USAGE_KEY, LABELS_KEY, WEIGHTS_KEY = "nas.usage", "nas.labels", "nas.weights"


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a file's user has to know; None or empty where it is not known.

    `predicted` holds a latency and the device and table it is for; `origin` says where the weights are from.
    """

    preparation: Preparation | None = None
    labels: tuple[str, ...] | None = None
    origin: str = ""
    predicted: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_data(cls, data: Data, origin: str = "") -> Usage:
        """Return how a network trained on a data set is used."""
        return cls(preparation=preparation_of(data), labels=tuple(data.classes), origin=origin)

    def for_device(self, device: str, table: LatencyTable, prediction: Prediction) -> Usage:
        """Return the usage with the latency that a device's table predicts."""
        predicted = {
            "device": device,
            "table_sha256": table.sha256,
            "latency_ms": prediction.latency_ms,
            "low_ms": prediction.low_ms,
            "high_ms": prediction.high_ms,
        }
        return replace(self, predicted=predicted)

    def file_notes(self) -> dict[str, str]:
        """Return what a safetensors file of the weights keeps of it, as `nas.weights.open_weights` reads it."""
        from nas.weights import WeightsInfo

        return WeightsInfo(source=self.origin, preparation=self.preparation, labels=self.labels).file_notes()

    def fitting(self, classes: int, size: int) -> Usage:
        """Return the usage for a network of so many classes and pixels: labels of another number are left out."""
        preparation = self.preparation and replace(self.preparation, image_size=size)
        labels = self.labels if self.labels is not None and len(self.labels) == classes else None
        return replace(self, preparation=preparation, labels=labels)

    def document(self, *, size: int, classes: int, layout: str, dtype: str, architecture: str) -> dict[str, Any]:
        """Return all of it as JSON-ready values."""
        shape = [1, size, size, 3] if layout == "NHWC" else [1, 3, size, size]
        prepared = self.preparation
        scaling: dict[str, Any] = {} if prepared is None else {
            "range": "pixels scaled to [0, 1], minus mean, over std, for each of the channels",
            "mean": list(prepared.mean),
            "std": list(prepared.std),
            "crop": prepared.crop,
            "resize": _resize_rule(prepared.crop, size),
        }  # fmt: skip
        quantised = {"quantisation": "scale and zero point of the tensor"} if dtype == "int8" else {}
        return {
            "input": {"shape": shape, "layout": layout, "channels": "RGB", "dtype": dtype, **scaling, **quantised},
            "output": {
                "shape": [1, classes],
                "dtype": dtype,
                "meaning": "a score for each class, before softmax",
                "labels": None if self.labels is None else list(self.labels),
            },
            "weights": self.origin,
            "predicted": dict(self.predicted),
            "architecture": architecture,
        }


def _resize_rule(crop: float, size: int) -> str:
    if crop == 1:
        return f"resized to {size} x {size}, bilinear with antialiasing"
    from nas.data.augment import scaled_side

    return (
        f"shorter side resized to {scaled_side(size, crop)}, bilinear with antialiasing; centre {size} x {size} cut out"
    )


def preparation_of(data: Data) -> Preparation:
    """Return how a data set's images are prepared for evaluation."""
    from nas.weights import Preparation

    mean, std = (_three(values) for values in (data.mean, data.std))
    return Preparation(mean=mean, std=std, image_size=data.image_size, crop=data.crop)


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    first, second, third = values if len(values) == 3 else (values[0],) * 3
    return first, second, third


def tflite_entries(usage: Usage, document: Mapping[str, Any], weights: str, size: int, name: str) -> dict[str, bytes]:
    """Return the metadata buffers of a TFLite file: the standard table, and everything as one JSON buffer."""
    from latency_lut.tflite.usage_table import METADATA_NAME, ImageClassifier, usage_table

    prepared = usage.preparation
    table = ImageClassifier(
        name=name,
        description=f"{weights} weights{': ' if usage.origin else ''}{usage.origin}",
        size=size,
        mean=None if prepared is None else [255 * value for value in prepared.mean],
        std=None if prepared is None else [255 * value for value in prepared.std],
        labelled=usage.labels is not None,
    )
    entries = {
        WEIGHTS_KEY: weights.encode(),
        USAGE_KEY: json.dumps(document, ensure_ascii=False, allow_nan=False).encode(),
        METADATA_NAME: usage_table(table),
    }
    if usage.labels is not None:
        entries[LABELS_KEY] = json.dumps(list(usage.labels), ensure_ascii=False).encode()
    return entries
