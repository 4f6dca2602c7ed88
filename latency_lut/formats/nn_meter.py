"""The block keys of nn-Meter's flat JSON tables (microsoft/nn-Meter, BlockLatencyPredictor).

    firstconv_224_3_16_2_3[_hard_swish]            map, channels in and out, stride, kernel
    conv_56_24_40_6_2_hard_swish_5_se              map, channels in and out, expansion, stride, activation, kernel, SE

The last part is `se` or `nose`, in older tables `True` or `False`. Values are milliseconds. Transformer blocks, of
which the same tables hold more, have no counterpart here.
"""

from __future__ import annotations

import re
from fractions import Fraction

from searchspace.architecture import Activation, Conv, InvertedResidual, PlacedBlock, block_ops
from searchspace.ops import Op, OpKind
from searchspace.support.errors import UserError
from searchspace.widths import make_divisible

_ACTIVATIONS = {"relu": Activation.RELU, "relu6": Activation.RELU6, "hard_swish": Activation.HSWISH}
_ACTIVATION = "|".join(_ACTIVATIONS)
_NUMBER = r"(\d{1,5})"
_FIRST = re.compile(rf"firstconv_{_NUMBER}_{_NUMBER}_{_NUMBER}_{_NUMBER}_{_NUMBER}(?:_({_ACTIVATION}))?")
_BLOCK = re.compile(
    rf"conv_{_NUMBER}_{_NUMBER}_{_NUMBER}_{_NUMBER}_{_NUMBER}_({_ACTIVATION})_{_NUMBER}_(se|nose|True|False)"
)


def is_key(text: str) -> bool:
    """Whether a text has the form of one of the keys."""
    return bool(_FIRST.fullmatch(text) or _BLOCK.fullmatch(text))


def ops_of_key(key: str) -> tuple[Op, ...]:
    """Return the ops of a key; raises UserError for an impossible one."""
    if first := _FIRST.fullmatch(key):
        size, cin, out, stride, kernel = map(int, first.groups()[:5])
        activation = _ACTIVATIONS[first[6] or "hard_swish"]
        conv = Conv(kernel=kernel, stride=stride, out=out, activation=activation, identity=Fraction(0))
        return block_ops(PlacedBlock(conv, size, cin))
    match = _BLOCK.fullmatch(key)
    if match is None:
        raise UserError("not a block key of nn-Meter that has a counterpart here")
    size, cin, out, expansion, stride = map(int, match.groups()[:5])
    excite = match[8] in ("se", "True")
    return mbconv_ops(size, cin, out, expansion, stride, _ACTIVATIONS[match[6]], int(match[7]), excite)


def mbconv_ops(
    size: int, cin: int, out: int, expansion: int, stride: int, activation: Activation, kernel: int, excite: bool
) -> tuple[Op, ...]:
    """Return the ops of nn-Meter's inverted residual block.

    Its expanding convolution runs even at expansion 1, and where shapes differ the shortcut has an average pooling
    (at stride 2) and a projection.
    """
    hidden = expansion * cin
    squeeze = make_divisible(hidden / 4) if excite else 0
    expand = Conv(kernel=1, stride=1, out=hidden, activation=activation, identity=Fraction(0))
    body = InvertedResidual(
        kernel=kernel,
        stride=stride,
        hidden=hidden,
        out=out,
        activation=activation,
        squeeze=squeeze,
        identity=Fraction(0),
    )
    ops = (*block_ops(PlacedBlock(expand, size, cin)), *block_ops(PlacedBlock(body, size, hidden)))
    out_size = PlacedBlock(body, size, hidden).out_size
    pool = (Op(OpKind.POOL, size, cin, cin),) if stride != 1 else ()
    projection = (*pool, Op(OpKind.CONV, out_size, cin, out)) if stride != 1 or cin != out else ()
    return (*ops, *projection, Op(OpKind.ADD, out_size, out, out))
