"""The sandglass block of MobileNeXt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import ClassVar, Self

from searchspace.blocks import _options as options
from searchspace.blocks import _words as words
from searchspace.blocks._block import Block, Family
from searchspace.blocks._options import Place, Values
from searchspace.blocks._rounding import make_divisible
from searchspace.blocks._values import (
    Activation,
    Gate,
    require,
    require_channels,
    require_convolution,
    require_identity,
    require_squeeze,
)
from searchspace.blocks._wiring import Width, Wiring, conv, depthwise, squeeze_excite


class Depthwise(StrEnum):
    """Which of a sandglass block's two depthwise convolutions exist (MobileNeXt drops some where channels change)."""

    BOTH = "both"
    LAST = "last"
    NONE = "none"


def sandglass_hidden(in_channels: int, out_channels: int, reduction: int) -> int:
    """Return the narrow width of a sandglass block as MobileNeXt's code computes it.

    The input divided by the reduction, unless that is below a sixth of the output, which is then rounded to 16.
    """
    hidden = in_channels // reduction
    return hidden if hidden >= Fraction(out_channels, 6) else make_divisible(math.ceil(out_channels / 6), 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandglass(Block):
    """Depthwise, reduce 1x1, expand 1x1, depthwise with the stride, shortcut between wide ends (MobileNeXt table 1).

    `hidden` is the narrow middle; squeeze-excite, where there is one, sits on the wide tensor after the expansion.
    """

    family: ClassVar[Family] = Family(
        kind="sandglass",
        name="sandglass",
        colour="#d9822b",
        prefix="sg",
        words=(
            words.KERNEL,
            words.STRIDE,
            words.HIDDEN,
            words.OUT,
            words.ACTIVATION,
            words.Named("depthwise", {"last": Depthwise.LAST, "nodw": Depthwise.NONE}, Depthwise.BOTH),
            words.SQUEEZE,
            words.IDENTITY,
        ),
        example="sg_k3_s1_h32_c192_r6",
        options={**options.COMMON, **options.EXCITE, "ratio": None, "depthwise": "auto"},
        hidden_name="middle",
        out_name="wide ends",
    )

    kernel: int
    stride: int
    hidden: int
    out: int
    activation: Activation
    depthwise: Depthwise = Depthwise.BOTH
    squeeze: int = 0
    gate: Gate = Gate.HARD
    identity: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        require_convolution(self.kernel, self.stride, self.out)
        require_channels("hidden channels", self.hidden)
        require_squeeze(self.squeeze, self.gate)
        require_identity(self.identity)
        require(
            self.depthwise is not Depthwise.NONE or self.stride == 1,
            "stride is 2 but the sandglass has no depthwise convolution to take it; keep the last one",
        )

    def wiring(self, in_channels: int) -> Wiring:
        """Return the layers: first depthwise, reduce, expand, squeeze-excite, last depthwise (linear)."""
        first = depthwise("depthwise_in", "first depthwise", Width.IN, self.kernel, 1, self.activation)
        last = depthwise("depthwise_out", "last depthwise", Width.OUT, self.kernel, self.stride)
        return (
            *((first,) if self.depthwise is Depthwise.BOTH else ()),
            conv("reduce", "reduction", Width.IN, Width.HIDDEN),
            conv("expand", "expansion", Width.HIDDEN, Width.OUT, self.activation),
            *squeeze_excite(Width.OUT, self.squeeze, self.gate),
            *((last,) if self.depthwise is not Depthwise.NONE else ()),
        )

    def scaled_hidden(self, before: int, now: int, out: int, reduction: int | None) -> int:
        """Return the narrow width by MobileNeXt's rule where the reduction is known, else in proportion."""
        if reduction is None:
            return make_divisible(Fraction(self.hidden, before) * now)
        return sandglass_hidden(now, out, reduction)

    @classmethod
    def from_options(cls, values: Values, place: Place) -> Self:
        """Return the block with its middle `ratio` times narrower than its `basis`."""
        return cls(
            kernel=values["kernel"],
            hidden=_hidden(values, place),
            depthwise=_depthwise(values, place),
            identity=options.identity(values, place),
            **options.shared(values, place),
            **options.excite(values, place.out_channels, place),
        )


def _hidden(values: Values, place: Place) -> int:
    """Width of the middle: `input` is the rule of MobileNeXt's code, `ends` divides the wider end."""
    if values["basis"] == "ends":
        return make_divisible(max(place.in_channels, place.out_channels) / values["ratio"])
    return sandglass_hidden(place.in_channels, place.out_channels, values["ratio"])


def _depthwise(values: Values, place: Place) -> Depthwise:
    """Which depthwise convolutions stay: `auto` is MobileNeXt's rule, which drops some where the width changes."""
    if values["depthwise"] != "auto":
        return Depthwise(values["depthwise"])
    if place.in_channels == place.out_channels:
        return Depthwise.BOTH
    return Depthwise.LAST if place.stride == 2 else Depthwise.NONE
