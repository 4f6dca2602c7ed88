"""The block keys of ProxylessNAS's latency tables, and of Once-for-All's, which extend them for MobileNetV3.

    Conv-input:224x224x3-output:112x112x32
    expanded_conv-input:56x56x24-output:28x28x40-expand:6-kernel:5-stride:2-idskip:0             ProxylessNAS: a ratio
    expanded_conv-input:56x56x24-output:28x28x40-expand:72-kernel:5-stride:2-idskip:0-se:1-hs:0  Once-for-All: channels
    Conv_1-input:7x7x160-output:7x7x960
    AvgPool2D-input:7x7x960-output:1x1x960                                                       Once-for-All only
    Conv_2-input:1x1x960-output:1x1x1280                                                         Once-for-All only
    Logits-input:7x7x1280-output:1000

ProxylessNAS (mit-han-lab/proxylessnas) uses ReLU6 and pools inside `Logits`; in Once-for-All (mit-han-lab/once-for-all,
`MBv3LatencyTable`) the stem and the head use h-swish. Both write {mean, var, count} for each key, in milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import NamedTuple

from searchspace.architecture import Activation, Architecture, Conv, InvertedResidual, PlacedBlock, block_ops
from searchspace.ops import Op, OpKind
from searchspace.support.errors import UserError, quoted
from searchspace.widths import make_divisible

_SHAPE = r"(\d{1,5})x(\d{1,5})x(\d{1,5})"
_KEY = re.compile(
    rf"(Conv|Conv_1|Conv_2|AvgPool2D|expanded_conv)-input:{_SHAPE}-output:{_SHAPE}((?:-[a-z]+:\d{{1,5}})*)"
)
_LOGITS = re.compile(rf"Logits-input:{_SHAPE}-output:(\d{{1,6}})")
_SETTINGS = ("expand", "kernel", "stride", "idskip")
_V3_SETTINGS = (*_SETTINGS, "se", "hs")
Shape = tuple[int, int]  # map size, channels


def is_key(text: str) -> bool:
    """Whether a text has the form of one of the keys."""
    return bool(_KEY.fullmatch(text) or _LOGITS.fullmatch(text))


def is_v3_key(text: str) -> bool:
    """Whether a key can only come from Once-for-All's MobileNetV3 tables."""
    return text.startswith(("AvgPool2D-", "Conv_2-")) or "-se:" in text


def ops_of_key(key: str, v3: bool) -> tuple[Op, ...]:
    """Return the ops of a key; `v3` says that the table is of MobileNetV3. Raises UserError for an impossible one."""
    if logits := _LOGITS.fullmatch(key):
        size, channels = _square(logits[1], logits[2], logits[3])
        pool = () if size == 1 else (Op(OpKind.POOL, size, channels, channels),)
        return (*pool, Op(OpKind.LINEAR, 1, channels, int(logits[4])))
    match = _KEY.fullmatch(key)
    if match is None:
        raise UserError("not a block key of ProxylessNAS or Once-for-All")
    before, after = _square(*match.group(2, 3, 4)), _square(*match.group(5, 6, 7))
    settings = dict(part.split(":") for part in match[8].split("-") if part)
    if match[1] == "expanded_conv":
        return _inverted_ops(before, after, {name: int(value) for name, value in settings.items()})
    if settings:
        raise UserError(f"{match[1]} takes no settings, but has {quoted(match[8][1:])}")
    return _plain_ops(match[1], before, after, Activation.HSWISH if v3 else Activation.RELU6)


def _square(height: str, width: str, channels: str) -> Shape:
    if height != width or min(int(height), int(channels)) < 1:
        raise UserError(f"{height}x{width}x{channels} is not a square feature map")
    return int(height), int(channels)


def _plain_ops(name: str, before: Shape, after: Shape, activation: Activation) -> tuple[Op, ...]:
    """Return the ops of the convolutions and the pooling outside the blocks."""
    (size, cin), (out_size, out) = before, after
    match name:
        case "Conv" | "Conv_1":
            kernel, strides = (3, (1, 2)) if name == "Conv" else (1, (1,))
            for stride in strides:
                conv = PlacedBlock(_conv(out, kernel, stride, activation), size, cin)
                if conv.out_size == out_size:
                    return block_ops(conv)
        case "AvgPool2D" if (out_size, out) == (1, cin):
            return (Op(OpKind.POOL, size, cin, cin),)
        case "Conv_2" if size == out_size == 1:
            return (Op(OpKind.LINEAR, 1, cin, out), Op(OpKind.HSWISH, 1, out, out))
    raise UserError(f"{name} does not turn {size}x{size}x{cin} into {out_size}x{out_size}x{out}")


def _conv(out: int, kernel: int, stride: int, activation: Activation) -> Conv:
    return Conv(kernel=kernel, stride=stride, out=out, activation=activation, identity=Fraction(0))


def _inverted_ops(before: Shape, after: Shape, settings: Mapping[str, int]) -> tuple[Op, ...]:
    names = tuple(settings)
    if names not in (_SETTINGS, _V3_SETTINGS):
        expected = " or ".join(", ".join(known) for known in (_SETTINGS, _V3_SETTINGS))
        raise UserError(f"expanded_conv has the settings {quoted(', '.join(names))}, expected {expected}")
    if not all(settings.get(name, 0) in (0, 1) for name in ("idskip", "se", "hs")):
        raise UserError("idskip, se and hs must be 0 or 1")
    v3 = names == _V3_SETTINGS
    hidden = settings["expand"] if v3 else settings["expand"] * before[1]
    block = InvertedResidual(
        kernel=settings["kernel"],
        stride=settings["stride"],
        hidden=hidden,
        out=after[1],
        activation=Activation.HSWISH if settings.get("hs") else Activation.RELU6,
        squeeze=make_divisible(hidden / 4) if settings.get("se") else 0,
        identity=Fraction(settings["idskip"]),
    )
    placed = PlacedBlock(block, *before)
    if placed.out_size != after[0]:
        raise UserError(f"stride {block.stride} does not turn {before[0]} pixels into {after[0]}")
    if settings["idskip"] and not placed.shortcut_channels:
        raise UserError("idskip is 1, but the shapes forbid a shortcut")
    return block_ops(placed)


class KeyedPart(NamedTuple):
    """A part of a network under its key, or the reason why it has none."""

    key: str
    ops: tuple[Op, ...]
    problem: str = ""


def keys_of_network(network: Architecture, v3: bool) -> Iterator[KeyedPart]:
    """Yield every part of a network; one that the keys cannot spell comes with the reason instead of a key."""
    parts = [(_block_key(placed, v3), block_ops(placed)) for placed in network.placed_blocks()]
    stem, *_, head = network.ops()
    size, channels = -(-network.resolution // network.stem.stride), network.stem.out
    parts.append((f"Conv-input:{_text(network.resolution, 3)}-output:{_text(size, channels)}", stem.ops))
    families = [*(placed.block.family.name for placed in network.placed_blocks()), "stem"]
    yield from (_keyed(key, ops, v3, family) for (key, ops), family in zip(parts, families, strict=True))
    head_parts = [(key, _read(key, v3) or ()) for key in _head_keys(network, v3)]
    if tuple(op for _, ops in head_parts for op in ops) == head.ops:
        yield from (KeyedPart(key, ops) for key, ops in head_parts)
    else:
        yield KeyedPart("", head.ops, "the head differs from the one that these tables know")


def _head_keys(network: Architecture, v3: bool) -> Iterator[str]:
    size, channels, head = network.final_size, network.blocks[-1].out, network.head
    if head.conv:
        yield f"Conv_1-input:{_text(size, channels)}-output:{_text(size, head.conv)}"
        channels = head.conv
    if v3:
        yield f"AvgPool2D-input:{_text(size, channels)}-output:{_text(1, channels)}"
        size = 1
    if head.hidden:
        yield f"Conv_2-input:{_text(1, channels)}-output:{_text(1, head.hidden)}"
        channels = head.hidden
    yield f"Logits-input:{_text(size, channels)}-output:{network.classes}"


def _read(key: str, v3: bool) -> tuple[Op, ...] | None:
    try:
        return ops_of_key(key, v3)
    except UserError:
        return None


def _keyed(key: str, ops: tuple[Op, ...], v3: bool, family: str) -> KeyedPart:
    """Return a part under its key if reading the key gives the same ops."""
    if key and _read(key, v3) == ops:
        return KeyedPart(key, ops)
    why = f"{key} would not say all about its block" if key else f"these tables have no key for a block {family!r}"
    return KeyedPart("", ops, why)


def _text(size: int, channels: int) -> str:
    return f"{size}x{size}x{channels}"


def _block_key(placed: PlacedBlock, v3: bool) -> str:
    """Return the key of a block, empty for one that is no inverted residual."""
    block, size, cin = placed.block, placed.in_size, placed.in_channels
    if not isinstance(block, InvertedResidual):
        return ""
    expand = block.hidden if v3 else block.hidden // cin
    key = (
        f"expanded_conv-input:{_text(size, cin)}-output:{_text(placed.out_size, block.out)}-expand:{expand}"
        f"-kernel:{block.kernel}-stride:{block.stride}-idskip:{int(placed.shortcut_channels > 0)}"
    )
    return f"{key}-se:{int(block.squeeze > 0)}-hs:{int(block.activation is Activation.HSWISH)}" if v3 else key
