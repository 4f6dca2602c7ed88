"""A device as a few rates: the time of any op is what its arithmetic or its memory traffic takes, whichever is longer.

    time of an op = max(multiply-adds / peak, bytes / bandwidth) + launch

This is the model of the MobileNetV4 paper (arXiv 2404.10518, section 3) with what a handful of whole networks can
tell beside it: depthwise convolutions use an accelerator badly, weights come from slower memory than activations, ops
without weights launch at another price, and channels are padded to a tile. What a network takes beside its ops is
`Scale.per_network_ms` of the table. A table of such a device holds no rows: its ops are made from the rates when asked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latency_lut.estimate import Estimate
from searchspace.ops import WEIGHTED_KINDS, Op, OpKind
from searchspace.support.errors import UserError

RATES = (
    "conv_ms_per_gmadds",
    "depthwise_factor",
    "activations_ms_per_mb",
    "weights_ms_per_mb",
    "launch_ms",
    "other_launch_factor",
    "hswish_factor",
    "other_factor",
)
_LARGEST_TILE = 1024
MOST_CHANNELS, LARGEST_PX = 4096, 512  # what networks that rates were fitted to come near
_BEYOND_ERROR = 0.25


class Work(NamedTuple):
    """What an op asks of a device: billions of multiply-adds on padded channels, megabytes read and written."""

    gmadds: float
    activations_mb: float
    weights_mb: float


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """The rates of a device; factors are relative to what convolutions take.

    `doubt` holds one standard deviation of the logarithm of each rate, by name. `channel_tile` is what channels are
    padded to before multiply-adds are counted, `element_bytes` the size of an activation or weight.
    """

    conv_ms_per_gmadds: float
    depthwise_factor: float  # time per multiply-add of a depthwise convolution, in those of a dense one
    activations_ms_per_mb: float
    weights_ms_per_mb: float
    launch_ms: float
    other_launch_factor: float  # launch of an op without weights
    hswish_factor: float  # time per byte of h-swish
    other_factor: float  # time per byte of other ops without weights
    element_bytes: int = 1
    channel_tile: int = 1
    doubt: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in RATES:
            _require_positive(name, getattr(self, name))
        for name, value in self.doubt.items():
            if name not in RATES:
                raise UserError(f"doubt of an unknown rate {name!r}; rates are {', '.join(RATES)}")
            _require_positive(f"doubt of {name}", value, least=0.0)
        if self.element_bytes not in (1, 2, 4):
            raise UserError(f"element_bytes must be 1, 2 or 4, not {self.element_bytes}")
        if not 1 <= self.channel_tile <= _LARGEST_TILE:
            raise UserError(f"channel_tile must be from 1 to {_LARGEST_TILE}, not {self.channel_tile}")

    def rates(self) -> NDArray[np.float64]:
        """Return the rates in the order of `RATES`, shape (8,)."""
        return np.array([getattr(self, name) for name in RATES])

    def estimate(self, op: Op) -> Estimate:
        """Return the time of an op, flagged beyond the shapes that mobile networks have.

        Its doubt is shared with the network's other ops, since the rates are.
        """
        work = work_of(op, self.element_bytes, self.channel_tile)
        parts = parts_ms(op.kind, work, self.rates())
        latency_ms = parts.sum()
        shares = shares_of_rates(op.kind, work, self.rates())
        doubt = np.array([self.doubt.get(name, 0.0) for name in RATES])
        shared_ms = latency_ms * math.sqrt(float((shares * doubt) @ (shares * doubt)))
        beyond = max(op.in_channels, op.out_channels) > MOST_CHANNELS or max(op.in_shape) > LARGEST_PX or not op.square
        spread_ms = _BEYOND_ERROR * latency_ms if beyond else 0.0
        return Estimate(float(latency_ms), float(spread_ms), extrapolated=beyond, shared_ms=float(shared_ms))


def work_of(op: Op, element_bytes: int, channel_tile: int) -> Work:
    """Return the work of one op."""
    pixels_in, pixels_out = op.in_pixels, op.out_pixels
    cin, cout = op.in_channels, op.out_channels
    traffic, weights, madds = pixels_in * cin + pixels_out * cout, 0, 0
    match op.kind:
        case OpKind.CONV:
            weights = op.taps * cin * cout
            madds = pixels_out * op.taps * _padded(cin, channel_tile) * _padded(cout, channel_tile)
        case OpKind.DWCONV:
            weights = op.taps * cin
            madds = pixels_out * op.taps * _padded(cin, channel_tile)
        case OpKind.LINEAR:
            weights, traffic, madds = cin * cout, cin + cout, cin * cout
        case OpKind.ADD:
            traffic = 3 * pixels_in * cin
        case _:
            pass
    return Work(madds / 1e9, traffic * element_bytes / 1e6, weights * element_bytes / 1e6)


def parts_ms(kind: OpKind, work: Work, rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the longer of arithmetic and traffic, and the launch, in milliseconds, shape (2,)."""
    conv, depthwise, activations, weights, launch, other_launch, hswish, other = rates
    arithmetic = work.gmadds * conv * (depthwise if kind is OpKind.DWCONV else 1.0)
    if kind in WEIGHTED_KINDS:
        per_mb = activations
    else:
        launch, per_mb = launch * other_launch, activations * (hswish if kind is OpKind.HSWISH else other)
    return np.array([max(arithmetic, work.activations_mb * per_mb + work.weights_mb * weights), launch])


def shares_of_rates(kind: OpKind, work: Work, rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how many percent an op's time grows per percent of each rate, shape (8,)."""
    activations, weights = rates[2:4]
    busy_ms, launch_ms = parts_ms(kind, work, rates)
    shares = np.zeros(len(RATES))
    shares[4] = launch_ms
    weights_ms = work.weights_mb * weights
    if kind not in WEIGHTED_KINDS:
        shares[5] = launch_ms
        shares[2] = shares[6 if kind is OpKind.HSWISH else 7] = busy_ms
    elif busy_ms > work.activations_mb * activations + weights_ms:
        shares[0] = busy_ms
        shares[1] = busy_ms if kind is OpKind.DWCONV else 0.0
    else:
        shares[2], shares[3] = busy_ms - weights_ms, weights_ms
    return np.asarray(shares / (busy_ms + launch_ms))


def _padded(channels: int, tile: int) -> int:
    return -(-channels // tile) * tile


def _require_positive(name: str, value: float, least: float = 1e-9) -> None:
    if not (math.isfinite(value) and least <= value < 1e9):
        raise UserError(f"{name} must be a finite number of at least {least:g}, not {value}")
