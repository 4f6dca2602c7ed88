"""The depthwise separable convolution of MobileNetV1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from searchspace.blocks import _options as options
from searchspace.blocks import _words as words
from searchspace.blocks._block import Block, Family
from searchspace.blocks._options import Place, Values
from searchspace.blocks._values import Activation, require_convolution
from searchspace.blocks._wiring import Width, Wiring, conv, depthwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Separable(Block):
    """Depthwise then pointwise convolution, each with its activation and never a shortcut (MobileNetV1 figure 3)."""

    family: ClassVar[Family] = Family(
        kind="separable",
        name="separable",
        colour="#3d9a6a",
        prefix="ds",
        words=(words.KERNEL, words.STRIDE, words.OUT, words.ACTIVATION),
        example="ds_k3_s1_c64_re",
        options=options.COMMON,
    )

    kernel: int
    stride: int
    out: int
    activation: Activation

    def __post_init__(self) -> None:
        require_convolution(self.kernel, self.stride, self.out)

    def wiring(self, in_channels: int) -> Wiring:
        """Return the layers: depthwise, pointwise."""
        return (
            depthwise("depthwise", "depthwise", Width.IN, self.kernel, self.stride, self.activation),
            conv("pointwise", "pointwise", Width.IN, Width.OUT, self.activation),
        )

    @classmethod
    def from_options(cls, values: Values, place: Place) -> Self:
        """Return the block."""
        return cls(kernel=values["kernel"], **options.shared(values, place))
