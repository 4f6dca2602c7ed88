"""How the MobileNet family rounds scaled channel counts."""

from __future__ import annotations


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Round to the nearest multiple of `divisor` (half up), at least one, never losing more than a tenth.

    The rule of TF-slim's `conv_blocks.py`, used by every MobileNet since V2.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
