"""A torch module as a TFLite file, in a fraction of a second and without a converter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from latency_lut.tflite.graph import WeightFormat

if TYPE_CHECKING:
    from torch import nn


def module_model(
    module: nn.Module,
    shape: tuple[int, int, int, int],
    *,
    weights: WeightFormat = "float32",
    description: str = "",
) -> bytes:
    """Return the TFLite file of a module in evaluation mode that takes images (1, channels, height, width).

    The file takes them channel-last, (1, height, width, channels), and gives maps channel-last too; outputs keep the
    names that a module gives them in a dictionary. `weights` is the format they are stored in; computed is in float32.
    Raises UserError for a module that does what no TFLite operator here does, or without ai-edge-litert.
    """
    from latency_lut.tflite.lower import lower
    from latency_lut.tflite.trace import trace

    return lower(trace(module, shape)).packed(weights, description)
