"""The primitive operations of a block, from its wiring."""

from __future__ import annotations

from searchspace.blocks._block import PlacedBlock
from searchspace.blocks._values import Activation, Padding
from searchspace.blocks._wiring import LayerKind, WiredLayer
from searchspace.ops import Op, OpKind


def activation_ops(activation: Activation, size: int, channels: int) -> tuple[Op, ...]:
    """Return what an activation costs beyond the convolution before it: only h-swish is not fused into that."""
    return (Op(OpKind.HSWISH, size, channels, channels),) if activation is Activation.HSWISH else ()


def conv_ops(
    size: int,
    cin: int,
    cout: int,
    kernel: int,
    stride: int,
    activation: Activation,
    padding: Padding = Padding.SAME,
) -> tuple[Op, ...]:
    """Return a dense convolution and its activation, behind the explicit padding where the network's needs one."""
    op = Op(OpKind.CONV, size, cin, cout, kernel, stride)
    return (*_pad_ops(op, padding), op, *activation_ops(activation, op.out_size, cout))


def _pad_ops(op: Op, padding: Padding) -> tuple[Op, ...]:
    """Return the explicit padding of a convolution: SAME is symmetric already at stride 1 and on odd maps."""
    explicit = padding is Padding.SYMMETRIC and op.stride == 2 and op.kernel > 1 and op.in_size % 2 == 0
    return (Op(OpKind.PAD, op.in_size, op.in_channels, op.in_channels, op.kernel),) if explicit else ()


def block_ops(placed: PlacedBlock) -> tuple[Op, ...]:
    """Return the primitive operations of a block that receives the given shape."""
    ops: list[Op] = []
    size = placed.in_size
    for layer in placed.wiring:
        ops += _layer_ops(layer, size, placed.width(layer.reads), placed.width(layer.writes), placed.padding)
        size = -(-size // layer.stride)
    return (*ops, *_shortcut_ops(placed))


def _layer_ops(layer: WiredLayer, size: int, cin: int, cout: int, padding: Padding) -> tuple[Op, ...]:
    match layer.kind:
        case LayerKind.CONV:
            return conv_ops(size, cin, cout, layer.kernel, layer.stride, layer.activation, padding)
        case LayerKind.DEPTHWISE:
            op = Op(OpKind.DWCONV, size, cin, cin, layer.kernel, layer.stride)
            return (*_pad_ops(op, padding), op, *activation_ops(layer.activation, op.out_size, cin))
        case LayerKind.SQUEEZE_EXCITE:
            return (
                Op(OpKind.POOL, size, cin, cin),
                Op(OpKind.LINEAR, 1, cin, layer.squeeze),
                Op(OpKind.LINEAR, 1, layer.squeeze, cin),
                Op(OpKind.SIGMOID, 1, cin, cin),
                Op(OpKind.SCALE, size, cin, cin),
            )


def _shortcut_ops(placed: PlacedBlock) -> tuple[Op, ...]:
    count, size, out = placed.shortcut_channels, placed.out_size, placed.block.out
    if not count:
        return ()
    add = Op(OpKind.ADD, size, count, count)
    return (add,) if count == out else (add, Op(OpKind.CONCAT, size, out, out))
