"""What the fields of blocks, stems and heads can be, and the checks of them."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction

from searchspace.support.errors import UserError

MAX_CHANNELS = 16_384
MAX_KERNEL = 31


class Activation(StrEnum):
    """The non-linearities of the MobileNet family, by their short names."""

    RELU = "re"
    RELU6 = "r6"
    HSWISH = "hs"
    LINEAR = "li"  # none at all


class Gate(StrEnum):
    """How squeeze-excite turns its second fully connected layer into a gate."""

    HARD = "hard"  # relu6(x + 3) / 6, MobileNetV3
    LOGISTIC = "logistic"  # sigmoid, MnasNet


class Padding(StrEnum):
    """Where the zeros around a map go when a convolution of stride 2 needs an odd number of them, on even maps."""

    SAME = "same"  # TensorFlow: one more behind than in front
    SYMMETRIC = "symmetric"  # torch: half a kernel on both sides


def require(condition: bool, message: str) -> None:
    """Raise UserError with the message unless the condition holds."""
    if not condition:
        raise UserError(message)


def require_channels(name: str, value: int, *, zero: bool = False) -> None:
    """Raise UserError unless `value` is a number of channels, at least 1 (0 where `zero` allows it)."""
    lowest = 0 if zero else 1
    require(
        isinstance(value, int) and lowest <= value <= MAX_CHANNELS,
        f"{name} is {value}, expected a whole number from {lowest} to {MAX_CHANNELS}",
    )


def require_kernel(kernel: int, name: str = "kernel") -> None:
    """Raise UserError unless `kernel` is odd and not too large."""
    require(
        isinstance(kernel, int) and kernel % 2 == 1 and 1 <= kernel <= MAX_KERNEL,
        f"{name} is {kernel}, expected an odd number from 1 to {MAX_KERNEL}",
    )


def require_convolution(kernel: int, stride: int, out: int) -> None:
    """Raise UserError unless kernel, stride and output channels are possible."""
    require_kernel(kernel)
    require_stride(stride)
    require_channels("output channels", out)


def require_stride(stride: int) -> None:
    """Raise UserError unless `stride` is 1 or 2."""
    require(stride in (1, 2), f"stride is {stride}, expected 1 or 2")


def require_squeeze(squeeze: int, gate: Gate) -> None:
    """Raise UserError unless the width inside squeeze-excite is possible and goes with the gate."""
    require_channels("squeeze channels", squeeze, zero=True)
    require(squeeze > 0 or gate is Gate.HARD, "a gate is given without squeeze-excite channels")


def require_identity(identity: Fraction) -> None:
    """Raise UserError unless the share of channels that a shortcut adds to is one from 0 to 1."""
    require(
        isinstance(identity, Fraction) and (identity == 1 or 0 <= identity <= 1),  # equal is quicker than between
        f"identity share is {identity}, expected a fraction from 0 to 1",
    )
