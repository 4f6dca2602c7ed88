"""The two rules by which the MobileNet papers round widths."""

from __future__ import annotations

from fractions import Fraction

from searchspace.blocks._values import Gate


def make_divisible(value: float | Fraction, divisor: int = 8) -> int:
    """Round to the nearest multiple of `divisor` (halves up), at least one, and never below 90 % of `value`.

    The rule of TF-slim's `conv_blocks.py`.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def squeeze_channels(gate: Gate, block_in: int, hidden: int) -> int:
    """Return the width inside squeeze-excite: a quarter of the expansion with a hard gate, rounded to 8
    (MobileNetV3 section 5.3), a quarter of the block's input with a logistic one (MnasNet)."""
    return make_divisible(Fraction(hidden, 4)) if gate is Gate.HARD else max(1, block_in // 4)
