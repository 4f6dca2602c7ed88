"""Which ops a calibrated table lists: a coarse grid over everything a mobile network may hold, and exact shapes.

Between the grid points the table interpolates. Where real kernels jump between neighbouring channel counts, at the
shapes that measured blocks and published networks have, the op itself is listed.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from searchspace.ops import Op, OpKind
from searchspace.reference import reference, reference_names

_SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 40, 48, 56, 80, 112, 160, 256)
_MAIN_SIZES = (7, 14, 28, 56, 112)  # the maps of a network at 224x224
_CHANNELS = (1, 8, 32, 96, 256, 768, 2048, 4096)
_MAIN_CHANNELS = (1, 8, 16, 24, 32, 48, 64, 96, 144, 192, 288, 384, 576, 768, 1152, 2048, 4096)
_DENSE_CHANNELS = (1, 3, 8, 32, 128, 512)
_DENSE_SIZES = (3, 7, 14, 28, 56, 112, 160, 224, 320)
_STEM_CHANNELS = (8, 16, 24, 32, 40, 48, 64)
_LINEAR_CHANNELS = (1, 8, 32, 96, 256, 768, 1280, 2048, 4096)
_KERNELS = (3, 5, 7)
_ELEMENTWISE = (OpKind.POOL, OpKind.SCALE, OpKind.HSWISH, OpKind.ADD, OpKind.CONCAT)


# Reference networks that came after the shipped tables, which are remade to the last bit only from the ops they hold.
_LATER = ("mobilenet_v1_conv", "mobilenet_v1_shallow", "mobilenet_v4")


def table_networks() -> tuple[str, ...]:
    """Return the names of the reference networks whose ops every calibrated table holds."""
    return tuple(name for name in reference_names() if not name.startswith(_LATER))


def table_ops(seen: Iterable[Op]) -> list[Op]:
    """Return the ops of a table: the grid, the published networks at 224x224 and the ops `seen` in measurements."""
    ops = set(seen)
    ops.update(op for name in table_networks() for layer in reference(name).ops() for op in layer.ops)
    ops.update(_pointwise_grid())
    ops.update(_dense_grid())
    ops.update(_depthwise_grid())
    ops.update(Op(OpKind.LINEAR, 1, cin, out) for cin, out in product(_LINEAR_CHANNELS, repeat=2))
    ops.update(Op(OpKind.SIGMOID, 1, channels, channels) for channels in _MAIN_CHANNELS)
    ops.update(Op(kind, size, c, c) for kind, size, c in product(_ELEMENTWISE, _SIZES, _CHANNELS))
    return sorted(ops)


def _pointwise_grid() -> Iterable[Op]:
    for size in _SIZES:
        channels = _MAIN_CHANNELS if size in _MAIN_SIZES else _CHANNELS
        yield from (Op(OpKind.CONV, size, cin, out) for cin, out in product(channels, repeat=2))
    for size in (2, 7, 14, 56):  # a projection on the shortcut of a down-sampling block
        yield from (Op(OpKind.CONV, size, cin, out, 1, 2) for cin, out in product(_DENSE_CHANNELS, repeat=2))


def _dense_grid() -> Iterable[Op]:
    for size, kernel, stride in product(_DENSE_SIZES, _KERNELS, (1, 2)):
        channels = product(_DENSE_CHANNELS, repeat=2)
        yield from (Op(OpKind.CONV, size, cin, out, kernel, stride) for cin, out in channels if max(cin, out) <= 512)
        if size >= 112:
            yield from (Op(OpKind.CONV, size, 3, out, kernel, stride) for out in _STEM_CHANNELS)


def _depthwise_grid() -> Iterable[Op]:
    for size, kernel, stride in product(_SIZES, _KERNELS, (1, 2)):
        channels = _MAIN_CHANNELS if size in _MAIN_SIZES else _CHANNELS
        yield from (Op(OpKind.DWCONV, size, c, c, kernel, stride) for c in channels)
