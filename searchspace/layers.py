"""From the chosen values of one layer of a search space to the block they stand for.

The only place that knows what `kernel: 5` or `squeeze: hard` means; the walker in `searchspace.space` does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from searchspace.architecture import (
    Activation,
    Block,
    Conv,
    Depthwise,
    Gate,
    InvertedResidual,
    Sandglass,
    Separable,
)
from searchspace.support.errors import UserError
from searchspace.widths import make_divisible, sandglass_hidden, squeeze_channels

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


# Fields every kind understands, with their defaults; a field without a default must be given.
_COMMON: dict[str, Any] = {"kernel": 3, "activation": Activation.RELU.value}
_EXCITE: dict[str, Any] = {"squeeze": "none", "identity": 1, "basis": "input"}


def _excite(values: Values, wide: int, place: Place) -> dict[str, Any]:
    """Squeeze-excite by its gate: none, hard (MobileNetV3) or logistic (MnasNet), each with its width rule."""
    if values["squeeze"] == "none":
        return {}
    gate = Gate(values["squeeze"])
    return {"squeeze": squeeze_channels(gate, place.in_channels, wide), "gate": gate}


def _identity(values: Values, place: Place) -> Fraction:
    return Fraction(str(values["identity"])) if place.keeps_shape else Fraction(1)


def _inverted(values: Values, place: Place) -> Block:
    # `ends`: a stage that follows a wide one (a sandglass) expands its own width, not the wide input.
    base = place.in_channels if values["basis"] == "input" else min(place.in_channels, place.out_channels)
    hidden = place.in_channels if values["ratio"] == 1 else make_divisible(base * values["ratio"])
    return InvertedResidual(
        kernel=values["kernel"],
        stride=place.stride,
        hidden=hidden,
        out=place.out_channels,
        activation=Activation(values["activation"]),
        identity=_identity(values, place),
        **_excite(values, hidden, place),
    )


def _sandglass_hidden(values: Values, place: Place) -> int:
    """Width of the middle: `input` is the rule of MobileNeXt's code, `ends` divides the wider end."""
    if values["basis"] == "ends":
        return make_divisible(max(place.in_channels, place.out_channels) / values["ratio"])
    return sandglass_hidden(place.in_channels, place.out_channels, values["ratio"])


def _sandglass_depthwise(values: Values, place: Place) -> Depthwise:
    """Which depthwise convolutions stay: `auto` is MobileNeXt's rule, which drops some where the width changes."""
    if values["depthwise"] != "auto":
        return Depthwise(values["depthwise"])
    if place.in_channels == place.out_channels:
        return Depthwise.BOTH
    return Depthwise.LAST if place.stride == 2 else Depthwise.NONE


def _sandglass(values: Values, place: Place) -> Block:
    return Sandglass(
        kernel=values["kernel"],
        stride=place.stride,
        hidden=_sandglass_hidden(values, place),
        out=place.out_channels,
        activation=Activation(values["activation"]),
        depthwise=_sandglass_depthwise(values, place),
        identity=_identity(values, place),
        **_excite(values, place.out_channels, place),
    )


def _separable(values: Values, place: Place) -> Block:
    return Separable(
        kernel=values["kernel"],
        stride=place.stride,
        out=place.out_channels,
        activation=Activation(values["activation"]),
    )


def _conv(values: Values, place: Place) -> Block:
    return Conv(
        kernel=values["kernel"],
        stride=place.stride,
        out=place.out_channels,
        activation=Activation(values["activation"]),
        identity=_identity(values, place),
    )


def _skip(values: Values, place: Place) -> None:
    if not place.keeps_shape:
        raise UserError(
            f"a skipped layer must keep its shape, but the stage goes from {place.in_channels} to "
            f"{place.out_channels} channels with stride {place.stride}"
        )


@dataclass(frozen=True, slots=True)
class LayerKind:
    """One kind of layer a space file can name: its fields with defaults (None: must be given) and its maker."""

    fields: Mapping[str, Any]
    make: Callable[[Values, Place], Block | None]


KINDS: dict[str, LayerKind] = {
    "inverted": LayerKind(_COMMON | _EXCITE | {"ratio": None}, _inverted),
    "sandglass": LayerKind(_COMMON | _EXCITE | {"ratio": None, "depthwise": "auto"}, _sandglass),
    "separable": LayerKind(_COMMON, _separable),
    "conv": LayerKind(_COMMON | {"identity": 1}, _conv),
    "skip": LayerKind({}, _skip),
}


def build_layer(kind: str, values: Values, place: Place) -> Block | None:
    """Return the block that `kind` and its chosen values stand for at `place`; None for a skipped layer."""
    return KINDS[kind].make(values, place)
