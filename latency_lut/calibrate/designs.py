"""Made-up networks of every kind of block, as sums of ops: those on which a table's doubt is allotted to ops.

They stand for what a user may ask to be priced. They are made here, from a fixed seed, rather than drawn from the
search spaces, so that a table can be made again bit for bit whatever spaces and networks are added later.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import numpy as np

from searchspace.ops import Op, OpKind

Layer = list[Op]

_STAGES = (
    (16, 1, 1),
    (24, 2, 2),
    (40, 2, 3),
    (80, 2, 3),
    (112, 1, 2),
    (160, 2, 3),
    (320, 1, 1),
)  # channels, stride, blocks
_SIZES = (32, 64, 96, 128, 160, 192, 224, 256)
_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.25, 1.5)
_MIXED_SHARE, _MIXED_BLOCK_SHARE = 0.3, 0.3


class Family(StrEnum):
    """Families of blocks, by their wiring."""

    INVERTED = "inverted"
    SANDGLASS = "sandglass"
    FUSED = "fused"
    SEPARABLE = "separable"
    DENSE = "dense"


_SHARES = {
    Family.INVERTED: 0.5,
    Family.SANDGLASS: 0.2,
    Family.FUSED: 0.1,
    Family.SEPARABLE: 0.12,
    Family.DENSE: 0.08,
}


def design_networks(count: int, seed: int = 0) -> list[list[Layer]]:
    """Return `count` made-up networks, each a list of layers."""
    rng = np.random.default_rng(seed)
    return [list(_network(rng)) for _ in range(count)]


def _network(rng: np.random.Generator) -> Iterator[Layer]:
    family = Family(rng.choice(list(_SHARES), p=list(_SHARES.values())))
    mixed = rng.random() < _MIXED_SHARE
    size, width = int(rng.choice(_SIZES)), float(rng.choice(_WIDTHS))
    hswish, squeeze = bool(rng.random() < 0.5), bool(rng.random() < 0.5)
    widest = 1 if family in (Family.INVERTED, Family.FUSED) else 4
    channels, first_stride = _rounded(rng.choice((16, 32)) * width), 1 if size < 96 else 2
    yield [
        Op(OpKind.CONV, size, 3, channels, 3, first_stride),
        *_activation(hswish, -(-size // first_stride), channels),
    ]
    size = -(-size // first_stride)
    for base, stride, depth in _STAGES:
        out = _rounded(base * width * rng.integers(1, widest + 1))
        for place in range(max(1, depth + int(rng.integers(-1, 2)))):
            of_block = Family(rng.choice(list(_SHARES)[:4])) if mixed and rng.random() < _MIXED_BLOCK_SHARE else family
            kernel, ratio = int(rng.choice((3, 5, 7))), int(rng.choice((1, 2, 3, 4, 6)))
            step = stride if place == 0 and size > 3 else 1
            with_squeeze = squeeze and bool(rng.random() < 0.5)
            yield _block(of_block, size, channels, out, kernel, step, ratio, with_squeeze, hswish)
            size, channels = -(-size // step), out
    yield _head(rng, size, channels, width, hswish)


def _head(rng: np.random.Generator, size: int, channels: int, width: float, hswish: bool) -> Layer:
    hidden = _rounded(rng.choice((576, 960, 1280)) * max(width, 1.0))
    layer = [Op(OpKind.CONV, size, channels, hidden), *_activation(hswish, size, hidden)]
    layer.append(Op(OpKind.POOL, size, hidden, hidden))
    if rng.random() < 0.3:
        layer.append(Op(OpKind.LINEAR, 1, hidden, 1280))
        hidden = 1280
    return [*layer, Op(OpKind.LINEAR, 1, hidden, 1000)]


def _block(
    family: Family, size: int, cin: int, out: int, kernel: int, stride: int, ratio: int, squeeze: bool, hswish: bool
) -> Layer:
    after = -(-size // stride)
    match family:
        case Family.INVERTED:
            hidden = _rounded(cin * ratio)
            expand = [Op(OpKind.CONV, size, cin, hidden), *_activation(hswish, size, hidden)] if ratio > 1 else []
            layer = [*expand, Op(OpKind.DWCONV, size, hidden, hidden, kernel, stride)]
            layer += [*_activation(hswish, after, hidden), *(_squeeze(after, hidden) if squeeze else [])]
            layer.append(Op(OpKind.CONV, after, hidden, out))
        case Family.FUSED:
            hidden = _rounded(cin * ratio)
            layer = [Op(OpKind.CONV, size, cin, hidden, kernel, stride), *_activation(hswish, after, hidden)]
            layer.append(Op(OpKind.CONV, after, hidden, out))
        case Family.SANDGLASS:
            hidden = _rounded(max(cin, out) / max(ratio, 2))
            layer = [Op(OpKind.DWCONV, size, cin, cin, kernel), Op(OpKind.CONV, size, cin, hidden)]
            layer += [Op(OpKind.CONV, size, hidden, out), Op(OpKind.DWCONV, size, out, out, kernel, stride)]
        case Family.SEPARABLE:
            return [Op(OpKind.DWCONV, size, cin, cin, kernel, stride), Op(OpKind.CONV, after, cin, out)]
        case Family.DENSE:
            return [Op(OpKind.CONV, size, cin, out, kernel, stride)]
    return [*layer, Op(OpKind.ADD, after, out, out)] if stride == 1 and cin == out else layer


def _squeeze(size: int, channels: int) -> Layer:
    reduced = _rounded(channels / 4)
    linear = [Op(OpKind.LINEAR, 1, channels, reduced), Op(OpKind.LINEAR, 1, reduced, channels)]
    gate = [Op(OpKind.SIGMOID, 1, channels, channels), Op(OpKind.SCALE, size, channels, channels)]
    return [Op(OpKind.POOL, size, channels, channels), *linear, *gate]


def _activation(hswish: bool, size: int, channels: int) -> Layer:
    return [Op(OpKind.HSWISH, size, channels, channels)] if hswish else []


def _rounded(channels: float) -> int:
    return max(8, int(channels + 4) // 8 * 8)
