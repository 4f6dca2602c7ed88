"""The fused inverted bottleneck of EfficientNetV2 and MobileNetV4."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Self

from searchspace.blocks import _options as options
from searchspace.blocks import _words as words
from searchspace.blocks._block import Block, Family
from searchspace.blocks._options import Place, Values
from searchspace.blocks._values import Activation, require_channels, require_convolution, require_identity
from searchspace.blocks._wiring import Width, Wiring, conv


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedInvertedBottleneck(Block):
    """Dense k x k convolution that expands, linear 1x1 that projects (Qin et al. 2024, arXiv 2404.10518, section 3)."""

    family: ClassVar[Family] = Family(
        kind="fused",
        name="fused inverted bottleneck",
        colour="#2a9d8f",
        prefix="fb",
        words=(words.KERNEL, words.STRIDE, words.HIDDEN, words.OUT, words.ACTIVATION, words.IDENTITY),
        example="fb_k3_s2_h128_c48_re",
        options={**options.COMMON, "identity": 1, "basis": "input", "ratio": None},
    )

    kernel: int
    stride: int
    hidden: int
    out: int
    activation: Activation
    identity: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        require_convolution(self.kernel, self.stride, self.out)
        require_channels("hidden channels", self.hidden)
        require_identity(self.identity)

    def wiring(self, in_channels: int) -> Wiring:
        """Return the layers: expand k x k, project."""
        return (
            conv("expand", "expansion", Width.IN, Width.HIDDEN, self.activation, self.kernel, self.stride),
            conv("project", "projection", Width.HIDDEN, Width.OUT),
        )

    @classmethod
    def from_options(cls, values: Values, place: Place) -> Self:
        """Return the block with `ratio` times the channels of its `basis`."""
        return cls(
            kernel=values["kernel"],
            hidden=options.expanded(values, place),
            identity=options.identity(values, place),
            **options.shared(values, place),
        )
