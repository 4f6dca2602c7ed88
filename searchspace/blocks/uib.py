"""The universal inverted bottleneck of MobileNetV4."""

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
    require,
    require_channels,
    require_identity,
    require_kernel,
    require_stride,
)
from searchspace.blocks._wiring import Width, Wiring, conv, depthwise


@dataclass(frozen=True, slots=True, kw_only=True)
class UniversalInvertedBottleneck(Block):
    """Optional depthwise, expand 1x1, optional depthwise, project 1x1 (Qin et al. 2024, arXiv 2404.10518, figure 4).

    A kernel of 0 leaves its depthwise convolution out: an inverted bottleneck has only the middle one, a ConvNext-like
    block only the first, a feed-forward network neither. The first is linear; the stride sits in the middle one, else
    in the first. `hidden` may equal the input channels: the expanding convolution is always there.
    """

    family: ClassVar[Family] = Family(
        kind="uib",
        name="universal inverted bottleneck",
        colour="#c2457a",
        prefix="ub",
        words=(
            words.Number("k", "start_kernel", kernel=True),
            words.Number("m", "middle_kernel", kernel=True),
            words.STRIDE,
            words.HIDDEN,
            words.OUT,
            words.ACTIVATION,
            words.IDENTITY,
        ),
        example="ub_k3_m5_s2_h192_c80_re",
        options={
            "start_kernel": 0,
            "middle_kernel": 3,
            "activation": Activation.RELU.value,
            "identity": 1,
            "basis": "input",
            "ratio": None,
        },
    )

    start_kernel: int
    middle_kernel: int
    stride: int
    hidden: int
    out: int
    activation: Activation
    identity: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        if self.start_kernel != 0:
            require_kernel(self.start_kernel, "first kernel")
        if self.middle_kernel != 0:
            require_kernel(self.middle_kernel, "middle kernel")
        require_stride(self.stride)
        require_channels("hidden channels", self.hidden)
        require_channels("output channels", self.out)
        require_identity(self.identity)
        require(
            self.stride == 1 or self.start_kernel > 0 or self.middle_kernel > 0,
            "stride is 2 but the block has no depthwise convolution to take it; give it a kernel",
        )

    def wiring(self, in_channels: int) -> Wiring:
        """Return the layers: first depthwise, expand, middle depthwise, project."""
        first_stride, stride = (1, self.stride) if self.middle_kernel else (self.stride, 1)
        act = self.activation
        first = depthwise("start", "first depthwise", Width.IN, self.start_kernel, first_stride)
        middle = depthwise("middle", "middle depthwise", Width.HIDDEN, self.middle_kernel, stride, act)
        return (
            *((first,) if self.start_kernel else ()),
            conv("expand", "expansion", Width.IN, Width.HIDDEN, act),
            *((middle,) if self.middle_kernel else ()),
            conv("project", "projection", Width.HIDDEN, Width.OUT),
        )

    @classmethod
    def from_options(cls, values: Values, place: Place) -> Self:
        """Return the block with `ratio` times the channels of its `basis`."""
        return cls(
            start_kernel=values["start_kernel"],
            middle_kernel=values["middle_kernel"],
            hidden=options.expanded(values, place),
            identity=options.identity(values, place),
            **options.shared(values, place),
        )
