"""The inverted residual of MobileNetV2, MobileNetV3 and MnasNet."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Self

from searchspace.blocks import _options as options
from searchspace.blocks import _words as words
from searchspace.blocks._block import Block, Family
from searchspace.blocks._options import Place, Values
from searchspace.blocks._values import (
    Activation,
    Gate,
    require_channels,
    require_convolution,
    require_identity,
    require_squeeze,
)
from searchspace.blocks._wiring import Width, Wiring, conv, depthwise, squeeze_excite


@dataclass(frozen=True, slots=True, kw_only=True)
class InvertedResidual(Block):
    """Expand 1x1, depthwise, optional squeeze-excite, linear 1x1 (MobileNetV2 figure 4, MobileNetV3 figure 4).

    Where `hidden` equals the input channels the expanding convolution is there if `expand` says so, else omitted; where
    the two differ it always is there, and `expand` stays False. `squeeze` is the width inside
    squeeze-excite, 0 for none; `identity` is the share of channels that the shortcut, where shapes allow one, adds to.
    """

    family: ClassVar[Family] = Family(
        kind="inverted",
        name="inverted residual",
        colour="#2f7ed8",
        prefix="ir",
        words=(
            words.KERNEL,
            words.STRIDE,
            words.HIDDEN,
            words.OUT,
            words.ACTIVATION,
            words.SQUEEZE,
            words.IDENTITY,
            words.Named("expand", {"x": True}, False),
        ),
        example="ir_k5_s2_h72_c40_re_se24",
        options={**options.COMMON, **options.EXCITE, "ratio": None},
    )
    merging_widths: ClassVar[tuple[Width, Width] | None] = (Width.IN, Width.HIDDEN)

    kernel: int
    stride: int
    hidden: int
    out: int
    activation: Activation
    squeeze: int = 0
    gate: Gate = Gate.HARD
    identity: Fraction = Fraction(1)
    expand: bool = False

    def __post_init__(self) -> None:
        require_convolution(self.kernel, self.stride, self.out)
        require_channels("hidden channels", self.hidden)
        require_squeeze(self.squeeze, self.gate)
        require_identity(self.identity)

    def wiring(self, in_channels: int) -> Wiring:
        """Return the layers: expand (where it does), depthwise, squeeze-excite, project."""
        act = self.activation
        expand = conv("expand", "expansion", Width.IN, Width.HIDDEN, act)
        return (
            *((expand,) if self.expand or self.hidden != in_channels else ()),
            depthwise("depthwise", "depthwise", Width.HIDDEN, self.kernel, self.stride, act),
            *squeeze_excite(Width.HIDDEN, self.squeeze, self.gate),
            conv("project", "projection", Width.HIDDEN, Width.OUT),
        )

    def settled(self, in_channels: int) -> Self:
        """Return the block with `expand` only where it says something."""
        return self.with_fields(expand=False) if self.expand and self.hidden != in_channels else self

    @classmethod
    def from_options(cls, values: Values, place: Place) -> Self:
        """Return the block with `ratio` times the channels of its `basis`; it expands for every ratio but 1."""
        hidden = options.expanded(values, place)
        return cls(
            kernel=values["kernel"],
            hidden=hidden,
            expand=values["ratio"] != 1 and hidden == place.in_channels,
            identity=options.identity(values, place),
            **options.shared(values, place),
            **options.excite(values, hidden, place),
        )
