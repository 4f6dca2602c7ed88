"""Published times of blocks, in the file formats of their sources, as sums of ops.

TuNAS (decoded linear cost model), Single-Path NAS, nn-Meter's inverted residual blocks and ProxylessNAS's YAML. A
block's ops are those of `searchspace`, with two differences of the sources: the expanding convolution runs even at
expansion 1, and nn-Meter's blocks carry a projection on the shortcut where shapes differ.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from latency_lut.provenance import Precision
from latency_lut.samples import Reading, Sample, Skipped, Target
from searchspace.architecture import Activation, InvertedResidual, PlacedBlock, block_ops
from searchspace.errors import UserError
from searchspace.files import read_text
from searchspace.ops import Op, OpKind
from searchspace.widths import make_divisible

_ACTIVATIONS = {"relu": Activation.RELU, "relu6": Activation.RELU6, "hard_swish": Activation.HSWISH}

# Single-Path NAS: (first block, last block): (size of the map it ends on, channels); the first of each has stride 2
# but those at 14x14 with 96 and at 7x7 with 320 channels (enyac-group/single-path-nas, the MnasNet skeleton).
_SINGLE_PATH_STAGES = {(1, 4): (56, 24), (5, 8): (28, 40), (9, 12): (14, 80), (13, 16): (14, 96), (17, 20): (7, 192)}
_SINGLE_PATH_LAST = 21

Row = Mapping[str, str]
RowReader = Callable[[Row, Target], Sample]


def _block(size: int, cin: int, hidden: int, out: int, kernel: int, stride: int, act: Activation, se: bool) -> list[Op]:
    """Return the ops of an inverted residual block whose expanding convolution always runs."""
    squeeze = make_divisible(hidden / 4) if se else 0
    block = InvertedResidual(kernel=kernel, stride=stride, hidden=hidden, out=out, activation=act, squeeze=squeeze)
    ops = list(block_ops(PlacedBlock(block, size, cin)))
    if hidden == cin:
        activation = [Op(OpKind.HSWISH, size, hidden, hidden)] if act is Activation.HSWISH else []
        ops = [Op(OpKind.CONV, size, cin, hidden), *activation, *ops]
    return ops


def _separable(size: int, cin: int, out: int, kernel: int) -> list[Op]:
    block = InvertedResidual(kernel=kernel, stride=1, hidden=cin, out=out, activation=Activation.RELU6)
    return list(block_ops(PlacedBlock(block, size, cin)))


def _tunas_row(row: Row, target: Target) -> Sample:
    _require_pixel1(target)
    size, channels, kernel = int(row["resolution"]), int(row["channels"]), int(row["kernel"])
    if row["block_type"] == "SeparableConv":
        label = f"separable {size}px c{channels} k{kernel}"
        ops = _separable(size, channels, channels, kernel)
    else:
        hidden, se, act = round(channels * float(row["expansion"])), row["se"] == "1", _ACTIVATIONS[row["act"]]
        label = f"bottleneck {size}px c{channels} h{hidden} k{kernel}{' se' if se else ''}"
        ops = _block(size, channels, hidden, channels, kernel, 1, act, se)
    return Sample(label, "tunas", tuple(ops), latency(row["latency_ms"]), False)


def _single_path_row(row: Row, target: Target) -> Sample:
    _require_pixel1(target)
    number, kernel, expansion = int(row["block"]), int(row["kernel"]), int(row["expansion"])
    label = f"block {number} k{kernel} e{expansion}"
    if number == 0:
        ops = _separable(112, 32, 16, 3)  # the same block whatever the two choices say
    else:
        size, cin, out, stride = _single_path_place(number)
        ops = _block(size, cin, expansion * cin, out, kernel, stride, Activation.RELU6, False)
    return Sample(label, "single_path", tuple(ops), latency(row["latency_ms"]), False)


def _single_path_place(number: int) -> tuple[int, int, int, int]:
    """Return map size and channels before a block, its output channels and stride."""
    cin, size = 16, 112
    for (first, last), (end_size, out) in _SINGLE_PATH_STAGES.items():
        if number == first:
            return size, cin, out, size // end_size
        if number <= last:
            return end_size, out, out, 1
        cin, size = out, end_size
    if number == _SINGLE_PATH_LAST:
        return 7, 192, 320, 1
    raise ValueError(f"block {number} is not one of 0 to {_SINGLE_PATH_LAST}")


def _nn_meter_row(row: Row, target: Target) -> Sample:
    _require_target(target, row["device"])
    size, cin, out, stride = int(row["hw_in"]), int(row["cin"]), int(row["cout"]), int(row["stride"])
    kernel, hidden, se = int(row["kernel"]), int(row["cin"]) * int(row["expand"]), row["se"] == "1"
    ops = _block(size, cin, hidden, out, kernel, stride, _ACTIVATIONS[row["act"]], se)
    if stride != 1 or cin != out:
        out_size = -(-size // stride)
        pool = [Op(OpKind.POOL, size, cin, cin)] if stride != 1 else []
        ops += [*pool, Op(OpKind.CONV, out_size, cin, out), Op(OpKind.ADD, out_size, out, out)]
    label = f"{size}px {cin}>{hidden}>{out} k{kernel} s{stride} {row['act']}{' se' if se else ''}"
    return Sample(label, "nn_meter", tuple(ops), latency(row["latency_ms"]), False)


_PROXYLESS_BLOCK = re.compile(
    r"expanded_conv-input:(\d+)x\1x(\d+)-output:\d+x\d+x(\d+)-expand:(\d+)-kernel:(\d+)-stride:(\d)-idskip:[01]"
)
_PROXYLESS_STEM = re.compile(r"Conv(?:_1)?-input:(\d+)x\1x(\d+)-output:(\d+)x\3x(\d+)")
_PROXYLESS_LOGITS = re.compile(r"Logits-input:(\d+)x\1x(\d+)-output:(\d+)")


def _proxyless_ops(key: str) -> list[Op]:
    if match := _PROXYLESS_BLOCK.fullmatch(key):
        size, cin, out, expand, kernel, stride = map(int, match.groups())
        if expand == 1 and stride == 1:
            return _separable(size, cin, out, kernel)
        return _block(size, cin, expand * cin, out, kernel, stride, Activation.RELU6, False)
    if match := _PROXYLESS_STEM.fullmatch(key):
        size, cin, out_size, out = map(int, match.groups())
        stride = -(-size // out_size)
        return [Op(OpKind.CONV, size, cin, out, 1 if stride == 1 else 3, stride)]
    if match := _PROXYLESS_LOGITS.fullmatch(key):
        size, cin, classes = map(int, match.groups())
        return [Op(OpKind.POOL, size, cin, cin), Op(OpKind.LINEAR, 1, cin, classes)]
    raise ValueError(f"{key!r} is not a block key of ProxylessNAS")


def read_proxyless_yaml(path: Path, target: Target) -> Reading:
    """Read a YAML table in ProxylessNAS's form: keys that spell the block, each with a mean in milliseconds."""
    try:
        content = yaml.safe_load(read_text(path, "block file"))
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected block keys with mean, var and count, not {type(content).__name__}")
    reading = Reading()
    for key, value in content.items():
        label = str(key).rstrip(":")
        try:
            _require_pixel1(target)
            sample = Sample(label, "proxylessnas", tuple(_proxyless_ops(label)), latency(value["mean"]), False)
            reading.samples.append(sample)
        except Skipped as reason:
            reading.skipped[str(reason)] += 1
        except (ValueError, KeyError, TypeError, UserError) as error:
            raise UserError(f"{path}: {label[:120]!r}: {error}") from None
    return reading


def _require_pixel1(target: Target) -> None:
    """Skip a row of a form without a device column, which is Pixel 1's unless the caller claims it."""
    if not target.unlabelled:
        _require_target(target, "pixel1")


def _require_target(target: Target, device: str) -> None:
    if (target.device, target.precision) != (device, Precision.FLOAT32):
        raise Skipped(f"measured on {device} in float32")


def latency(value: object) -> float:
    """Return a latency in milliseconds; raises ValueError unless it is a positive finite number."""
    latency_ms = float(str(value))
    if not (math.isfinite(latency_ms) and latency_ms > 0):
        raise ValueError(f"a latency must be a positive number of milliseconds, not {value!r}")
    return latency_ms


# The columns that tell the form of a file, and what reads one of its rows for a target (raising Skipped).
BLOCK_FORMS: tuple[tuple[frozenset[str], RowReader], ...] = (
    (frozenset(("block_type", "resolution", "channels", "expansion", "se", "act", "latency_ms")), _tunas_row),
    (frozenset(("block", "kernel", "expansion", "latency_ms")), _single_path_row),
    (frozenset(("device", "hw_in", "cin", "cout", "expand", "stride", "act", "se", "latency_ms")), _nn_meter_row),
)
