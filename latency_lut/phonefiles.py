"""Published times of whole networks on phones of 2017 to 2026, accelerators included, in their sources' file formats.

Three forms: table 6 of the MobileNetV4 paper (a row per network, a column per device), Qualcomm AI Hub's list of
classifiers (a row per network, device, runtime and precision), and MLPerf v0.5's grids of widths and resolutions (a row
per system and network). Networks are those that this project or `pytorchcv` defines; others are skipped by name.
"""

from __future__ import annotations

import re

from latency_lut.blockfiles import Row, RowReader, latency
from latency_lut.provenance import Precision
from latency_lut.samples import Sample, Skipped, Target
from searchspace.ops import Op, OpKind
from searchspace.reference import reference
from searchspace.support.errors import UserError

TABLE6_COLUMNS = {
    Target("pixel6", Precision.INT8): "pixel6_cpu_int8",
    Target("galaxy_s23", Precision.INT8): "s23_cpu_int8",
    Target("galaxy_s23_gpu", Precision.FLOAT16): "s23_gpu_fp16",
    Target("pixel7_gpu", Precision.FLOAT16): "pixel7_gpu_fp16",
    Target("pixel4_hexagon", Precision.INT8): "pixel4_hexagon_int8",
    Target("pixel8_edgetpu", Precision.INT8): "pixel8_edgetpu_int8",
    Target("iphone13_coreml", Precision.FLOAT16): "iphone13_coreml_fp16",
}
_TABLE6_NAME = re.compile(r"(?:MobileNet-(V1|V2|V3L|V3S)|MNv4-Conv-(S|M|L))(?:-(\d+(?:\.\d+)?)x)?")
_TABLE6_BASES = {"V1": "mobilenet_v1", "V2": "mobilenet_v2", "V3L": "mobilenet_v3_large", "V3S": "mobilenet_v3_small"}
_TABLE6_BASES |= {"S": "mobilenet_v4_conv_small", "M": "mobilenet_v4_conv_medium", "L": "mobilenet_v4_conv_large"}

# MobileOne (arXiv 2206.04040, table 2) as it runs, its branches folded: width of each stage, squeeze-excite.
_MOBILEONE = {"MobileOne-S0": ((0.75, 1.0, 1.0, 2.0), False), "MobileOne-S4": ((3.0, 3.5, 3.5, 4.0), True)}
_MOBILEONE_STAGES = ((2, 64), (8, 128), (10, 256), (1, 512))  # blocks, channels at width 1

# AI Hub's names -> this project's reference networks, or pytorchcv's. All ran at 224 pixels: EfficientNet-B4, whose own
# size is 380, took twice B0's time, which its eleven times as many multiply-adds at 380 pixels cannot have taken.
_AIHUB_REFERENCES = {"mnasnet05": "mnasnet_b1_0.5", **{n: n for n in ("mobilenet_v2", "mobilenet_v3_large")}}
_AIHUB_REFERENCES |= {"mobilenet_v3_small": "mobilenet_v3_small"}
_AIHUB_PYTORCHCV = {
    "densenet121": "densenet121",
    "dla102x": "dla102x",
    "efficientnet_b0": "efficientnet_b0b",
    "efficientnet_b4": "efficientnet_b4b",
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "resnet101": "resnet101",
    "resnext50": "resnext50_32x4d",
    "shufflenet_v2": "shufflenetv2_w1",
    "squeezenet1_1": "squeezenet_v1_1",
    "wideresnet50": "wrn50_2",
}
# RegNetY-800MF (arXiv 2003.13678, table 6): blocks and channels of each stage, and channels of a group.
_REGNET_STAGES, _REGNET_GROUP = ((1, 64), (3, 144), (8, 320), (2, 784)), 16
_AIHUB_PRECISIONS = {"float": Precision.FLOAT16, "w8a8": Precision.INT8}

_BOARDS = {"hikey960": "hikey960", "firefly": "rk3399", "rpi4": "raspberry_pi4", "mate10pro": "mate10_pro"}
_GRID_NAME = re.compile(r"mobilenet-(v1|v2)-(\d\.\d+)-(\d+)(-quantized)?")


def _table6_row(row: Row, target: Target) -> Sample:
    column = TABLE6_COLUMNS.get(Target(target.device, target.precision))
    text = (row[column] or "").strip() if column else ""
    if not text:
        raise Skipped(f"no measurement on {target.device} in {target.precision}")
    if text.lower() == "failed":
        raise Skipped("the network holds an op that the device could not run")
    model = row["model"].strip()
    if model in _MOBILEONE:
        return Sample(model.lower().replace("-", "_"), "", mobileone_ops(*_MOBILEONE[model]), latency(text), True)
    match = _TABLE6_NAME.fullmatch(model)
    if match is None:
        raise Skipped(f"unknown network {model[:60]}")
    return _reference_sample(_named(_TABLE6_BASES[match[1] or match[2]], match[3]), text)


def mobileone_ops(widths: tuple[float, ...], squeeze: bool) -> tuple[Op, ...]:
    """Return the ops of a folded MobileOne at 224 pixels: separable blocks, with squeeze-excite in the later ones."""
    channels, size = min(64, int(64 * widths[0])), 112
    ops = [Op(OpKind.CONV, 224, 3, channels, 3, 2)]
    for stage, (width, (blocks, base)) in enumerate(zip(widths, _MOBILEONE_STAGES, strict=True)):
        first_squeezed = {2: blocks // 2, 3: 0}.get(stage, blocks) if squeeze else blocks
        for block in range(blocks):
            out, stride = int(base * width), 2 if block == 0 else 1
            ops.append(Op(OpKind.DWCONV, size, channels, channels, 3, stride))
            size = -(-size // stride)
            ops += _gate(size, channels, channels // 16) if block >= first_squeezed else []
            ops.append(Op(OpKind.CONV, size, channels, out))
            ops += _gate(size, out, out // 16) if block >= first_squeezed else []
            channels = out
    return (*ops, Op(OpKind.POOL, size, channels, channels), Op(OpKind.LINEAR, 1, channels, 1000))


def regnet_y_800mf_ops() -> tuple[Op, ...]:
    """Return the ops of RegNetY-800MF at 224 pixels; a grouped convolution counts as a dense one of equal work."""
    channels, size = 32, 112
    ops = [Op(OpKind.CONV, 224, 3, channels, 3, 2)]
    for blocks, out in _REGNET_STAGES:
        for block in range(blocks):
            stride = 2 if block == 0 else 1
            shortcut = [Op(OpKind.CONV, size, channels, out, 1, stride)] if block == 0 else []
            grouped = Op(OpKind.CONV, size, out, _REGNET_GROUP, 3, stride)
            ops += [*shortcut, Op(OpKind.CONV, size, channels, out), grouped]
            size = -(-size // stride)
            ops += [*_gate(size, out, channels // 4), Op(OpKind.CONV, size, out, out), Op(OpKind.ADD, size, out, out)]
            channels = out
    return (*ops, Op(OpKind.POOL, size, channels, channels), Op(OpKind.LINEAR, 1, channels, 1000))


def _gate(size: int, channels: int, squeezed: int) -> list[Op]:
    linear = [Op(OpKind.LINEAR, 1, channels, squeezed), Op(OpKind.LINEAR, 1, squeezed, channels)]
    gate = [Op(OpKind.SIGMOID, 1, channels, channels), Op(OpKind.SCALE, size, channels, channels)]
    return [Op(OpKind.POOL, size, channels, channels), *linear, *gate]


def _aihub_row(row: Row, target: Target) -> Sample:
    name = row["device"].strip().lower().removeprefix("samsung ")
    if f"{name.replace(' ', '_')}_npu" != target.device:
        raise Skipped("measured on another device")
    if _AIHUB_PRECISIONS.get(row["precision"].strip()) is not target.precision:
        raise Skipped("measured in another precision")
    if row["runtime"].strip() != "tflite":
        raise Skipped("another runtime than TFLite")
    if row["unit"].strip() != "NPU" or int(row["gpu"] or 0) or int(row["cpu"] or 0):
        raise Skipped("ran partly beside the NPU")
    model = row["model"].strip()
    if model in _AIHUB_REFERENCES:
        return _reference_sample(_AIHUB_REFERENCES[model], row["ms"])
    if model == "regnet_y_800mf":
        return Sample(model, "", regnet_y_800mf_ops(), latency(row["ms"]), True)
    if model not in _AIHUB_PYTORCHCV:
        raise Skipped(f"unknown network {model[:60]}")
    from latency_lut.pytorchcv_ops import pytorchcv_ops

    return Sample(model, "", pytorchcv_ops(_AIHUB_PYTORCHCV[model]), latency(row["ms"]), True)


def _grid_row(row: Row, target: Target) -> Sample:
    system, _, runtime = row["system"].strip().partition("-")
    if _BOARDS.get(system) != target.device:
        raise Skipped("measured on another device")
    if not runtime.startswith("tflite"):
        raise Skipped("another runtime than TFLite on the CPU")
    model = row["model"].strip()
    name = {"mobilenet": "mobilenet-v1-1.0-224"}.get(model, model)
    match = _GRID_NAME.fullmatch(name)
    if match is None:
        raise Skipped(f"unknown network {model[:60]}")
    if (Precision.INT8 if match[4] else Precision.FLOAT32) is not target.precision:
        raise Skipped("measured in another precision")
    at = "" if match[3] == "224" else f"@{match[3]}"
    return _reference_sample(f"{_named(f'mobilenet_{match[1]}', match[2])}{at}", row["p50_ms"])


def _named(base: str, width: str | None) -> str:
    return base if width is None or float(width) == 1.0 else f"{base}_{float(width)}"


def _reference_sample(name: str, text: str) -> Sample:
    try:
        ops: tuple[Op, ...] = tuple(op for layer in reference(name).ops() for op in layer.ops)
    except UserError as error:
        raise Skipped(str(error)) from None
    return Sample(name, "", ops, latency(text), True)


PHONE_FORMS: tuple[tuple[frozenset[str], RowReader], ...] = (
    (frozenset(("model", *TABLE6_COLUMNS.values())), _table6_row),
    (frozenset(("model", "precision", "device", "runtime", "ms", "unit")), _aihub_row),
    (frozenset(("system", "model", "p50_ms")), _grid_row),
)
