"""One dense convolution as a block."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Self

from searchspace.blocks import _options as options
from searchspace.blocks import _words as words
from searchspace.blocks._block import Block, Family
from searchspace.blocks._options import Place, Values
from searchspace.blocks._values import Activation, require_convolution, require_identity
from searchspace.blocks._wiring import Width, Wiring, conv


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv(Block):
    """One dense convolution with batch norm, activation and, where shapes allow, a shortcut (MnasNet's ConvOp)."""

    family: ClassVar[Family] = Family(
        kind="conv",
        name="conv",
        colour="#7a6fd0",
        prefix="cn",
        words=(words.KERNEL, words.STRIDE, words.OUT, words.ACTIVATION, words.IDENTITY),
        example="cn_k3_s1_c64_re",
        options={**options.COMMON, "identity": 1},
    )

    kernel: int
    stride: int
    out: int
    activation: Activation
    identity: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        require_convolution(self.kernel, self.stride, self.out)
        require_identity(self.identity)

    def wiring(self, in_channels: int) -> Wiring:
        """Return the one layer."""
        return (conv("conv", "convolution", Width.IN, Width.OUT, self.activation, self.kernel, self.stride),)

    @classmethod
    def from_options(cls, values: Values, place: Place) -> Self:
        """Return the block."""
        return cls(kernel=values["kernel"], identity=options.identity(values, place), **options.shared(values, place))
