"""Published times of blocks, in the file formats of their sources, as sums of ops.

TuNAS (decoded linear cost model), Single-Path NAS, nn-Meter's inverted residual blocks, and the YAML of ProxylessNAS
and Once-for-All. A block's ops are those of `searchspace`, but for TuNAS and Single-Path NAS the expanding convolution
runs even at expansion 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from latency_lut.formats import read_block_table
from latency_lut.formats.nn_meter import mbconv_ops
from latency_lut.provenance import Precision
from latency_lut.samples import Reading, Sample, Skipped, Target
from searchspace.architecture import Activation, InvertedResidual, PlacedBlock, block_ops
from searchspace.ops import Op, OpKind
from searchspace.support.errors import quoted
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
    kernel, expansion, se = int(row["kernel"]), int(row["expand"]), row["se"] == "1"
    ops = mbconv_ops(size, cin, out, expansion, stride, _ACTIVATIONS[row["act"]], kernel, se)
    label = f"{size}px {cin}>{expansion * cin}>{out} k{kernel} s{stride} {row['act']}{' se' if se else ''}"
    return Sample(label, "nn_meter", ops, latency(row["latency_ms"]), False)


def read_block_yaml(path: Path, target: Target) -> Reading:
    """Read a table of ProxylessNAS's form (`latency_lut.formats`), which is Pixel 1's unless the caller claims it."""
    reading = Reading()
    for block in read_block_table(path).blocks:
        try:
            _require_pixel1(target)
        except Skipped as reason:
            reading.skipped[str(reason)] += 1
        else:
            reading.samples.append(Sample(block.key, "proxylessnas", block.ops, block.time.latency_ms, False))
    return reading


def _require_pixel1(target: Target) -> None:
    """Skip a row of a form without a device column, which is Pixel 1's unless the caller claims it."""
    if not target.unlabelled:
        _require_target(target, "pixel1")


def _require_target(target: Target, device: str) -> None:
    if (target.device, target.precision) != (device, Precision.FLOAT32):
        raise Skipped(f"measured on {device} in float32")


def latency(value: object) -> float:
    """Return a latency in milliseconds; raises ValueError unless it is a positive number below a million."""
    text = str(value).strip()
    if text.lower().endswith(("s", "sec", "seconds")):
        raise ValueError(f"write the time as a number of milliseconds without its unit, not {quoted(text)}")
    try:
        latency_ms = float(text)
    except ValueError:
        raise ValueError(f"a latency must be a number of milliseconds, not {quoted(text)}") from None
    if not 0 < latency_ms < 1e6:
        raise ValueError(f"a latency must be a positive number of milliseconds below 1000000, not {quoted(text)}")
    return latency_ms


# The columns that tell the form of a file, and what reads one of its rows for a target (raising Skipped).
BLOCK_FORMS: tuple[tuple[frozenset[str], RowReader], ...] = (
    (frozenset(("block_type", "resolution", "channels", "expansion", "se", "act", "latency_ms")), _tunas_row),
    (frozenset(("block", "kernel", "expansion", "latency_ms")), _single_path_row),
    (frozenset(("device", "hw_in", "cin", "cout", "expand", "stride", "act", "se", "latency_ms")), _nn_meter_row),
)
