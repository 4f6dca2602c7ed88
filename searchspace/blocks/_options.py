"""What a layer of a search space can say of a block, and the shape around the layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from searchspace.blocks._rounding import make_divisible, squeeze_channels
from searchspace.blocks._values import Activation, Gate

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """The shape around a layer: channels in and out and the stride its stage asks of it."""

    in_channels: int
    out_channels: int
    stride: int

    @property
    def keeps_shape(self) -> bool:
        """Whether a shortcut is possible."""
        return self.stride == 1 and self.in_channels == self.out_channels


# Fields that families share, with their defaults; None must be given.
COMMON: Values = {"kernel": 3, "activation": Activation.RELU.value}
EXCITE: Values = {"squeeze": "none", "identity": 1, "basis": "input"}


def expanded(values: Values, place: Place) -> int:
    """Return the hidden channels of `ratio` times the input, the input's own for 1.

    With the basis `ends` a stage that follows a wide one (a sandglass) expands its own width, not the wide input.
    """
    base = place.in_channels if values["basis"] == "input" else min(place.in_channels, place.out_channels)
    return place.in_channels if values["ratio"] == 1 else make_divisible(base * values["ratio"])


def excite(values: Values, wide: int, place: Place) -> dict[str, Any]:
    """Squeeze-excite by its gate: none, hard (MobileNetV3) or logistic (MnasNet), each with its width rule."""
    if values["squeeze"] == "none":
        return {}
    gate = Gate(values["squeeze"])
    return {"squeeze": squeeze_channels(gate, place.in_channels, wide), "gate": gate}


def shared(values: Values, place: Place) -> dict[str, Any]:
    """Stride, output channels and activation, which every block has."""
    return {"stride": place.stride, "out": place.out_channels, "activation": Activation(values["activation"])}


def identity(values: Values, place: Place) -> Fraction:
    """The share of channels that the shortcut adds to; the default where there can be none."""
    return Fraction(str(values["identity"])) if place.keeps_shape else Fraction(1)
