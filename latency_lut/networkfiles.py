"""Published times of whole networks, in the file formats of their sources, as sums of ops.

Two forms beside those of `phonefiles`: one row per network and device, of which only the columns of the model and the
time need be there (`published_endpoints.csv`), and one row per network of the `pytorchcv` package with a column per
device, core and precision (`tflite_end_to_end_pixel4_s10.csv`).
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from latency_lut.blockfiles import BLOCK_FORMS, Row, RowReader, latency, read_block_yaml
from latency_lut.phonefiles import PHONE_FORMS
from latency_lut.provenance import Precision
from latency_lut.samples import Reading, Sample, Skipped, Target
from searchspace.architecture import Architecture
from searchspace.reference import reference
from searchspace.support.errors import UserError, quoted
from searchspace.support.files import read_text
from searchspace.support.optional import MissingPackage
from searchspace.text import parse

_PRECISIONS = {
    **dict.fromkeys(("float", "float32", "fp32"), Precision.FLOAT32),
    **dict.fromkeys(("fp16", "float16"), Precision.FLOAT16),
    **dict.fromkeys(("uint8", "int8", "quant", "8-bit"), Precision.INT8),
}
_RUNTIMES = ("tflite", "tensorflowlite", "litert")
_NETWORKS = {"proxylessnas": "proxylessnas_mobile", "mobilenet_v3": "mobilenet_v3_large"}
# Networks that one source timed on a scale of its own: (start of the model, part of the source) -> view.
_VIEWS = {("mobilenet_v2", "tensorflow/models"): "slim_v2", ("mnasnet", "tensorflow/tpu"): "mnasnet_readme"}
_COLUMNS = {
    Target("pixel4", Precision.FLOAT32): "pixel4_1large_float_mean_ms",
    Target("pixel4", Precision.INT8): "pixel4_1large_quant_mean_ms",
    Target("galaxy_s10", Precision.FLOAT32): "s10_1large_float_mean_ms",
    Target("galaxy_s10", Precision.INT8): "s10_1large_quant_mean_ms",
}


# What a damaged row raises on its way to a sample; a short row leaves columns None.
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, UserError)


def read_samples(path: str | Path, target: Target) -> Reading:
    """Read any block or network file of a known form for one phone.

    Rows for other phones, precisions or runtimes and networks that are not known are skipped and counted by reason;
    raises UserError, with the line, for a file of another form or a row that cannot be read.
    """
    path = Path(path)
    if path.suffix in (".yaml", ".yml"):
        return read_block_yaml(path, target)
    text = read_text(path, "block or network file")
    rows = csv.DictReader(io.StringIO(text.removeprefix(_remarks(text))))
    reading = Reading()
    try:
        read = _row_reader(set(rows.fieldnames or ()))
        for row in rows:
            _read_row(row, read, target, reading)
    except MissingPackage:
        raise
    except (*_UNREADABLE, csv.Error) as error:
        raise UserError(
            f"{path}, line {rows.line_num + _remarks(text).count(chr(10))}: cannot be read: {str(error)[:300]}"
        ) from None
    return reading


def _remarks(text: str) -> str:
    """Return the lines above the column names that start with `#`."""
    return "".join(takewhile(lambda line: line.startswith("#"), text.splitlines(keepends=True)))


def _read_row(row: Row, read: RowReader, target: Target, reading: Reading) -> None:
    try:
        reading.samples.append(read(row, target))
    except Skipped as reason:
        reading.skipped[str(reason)] += 1


def _row_reader(columns: set[str]) -> RowReader:
    for wanted, read in (*BLOCK_FORMS, *PHONE_FORMS, *_NETWORK_FORMS):
        if wanted <= columns:
            return read
    if "latency" in columns and "latency_ms" not in columns:
        raise UserError("its column is called `latency`: in which unit? Write milliseconds and call it `latency_ms`")
    found = ", ".join(column[:60] for column in sorted(columns)[:12]) or "(none)"
    raise UserError(
        f"not a known form of block or network file; its columns are {found}. "
        "docs/latency.md lists the forms that are read"
    )


def _endpoint_row(row: Row, target: Target) -> Sample:
    """Read a row that names a network; columns that are absent say what the target says."""
    device = _cell(row, "device", target.device).lower().replace(" ", "_").replace("pixel_", "pixel")
    if device != target.device:
        raise Skipped("measured on another device")
    if _PRECISIONS.get(_cell(row, "precision", target.precision).lower()) is not target.precision:
        raise Skipped("measured in another precision")
    runtime = _cell(row, "runtime", "tflite").lower()
    if not any(name in runtime.replace(" ", "") for name in _RUNTIMES) or "gpu" in runtime:
        raise Skipped("another runtime than TFLite on the CPU")
    if not _is_one(_cell(row, "threads", "1")):
        raise Skipped("threads unknown or not 1")
    name = row["model"].strip()
    if "," not in name:
        width, resolution = _number(row, "depth_multiplier", 1.0), _number(row, "resolution", 224.0)
        if resolution != int(resolution):
            raise ValueError(f"resolution must be whole pixels, not {resolution:g}")
        name = _full_name(name, width, int(resolution))
    ops = tuple(op for layer in _network(name).ops() for op in layer.ops)
    return Sample(name, _view(row), ops, latency(row["latency_ms"]), True)


def _cell(row: Row, column: str, default: str) -> str:
    """Return a cell, the default where the column is absent or the cell empty."""
    return (row.get(column) or "").strip() or default


def _is_one(text: str) -> bool:
    try:
        return float(text) == 1.0
    except ValueError:
        return False


def _number(row: Row, column: str, default: float) -> float:
    text = _cell(row, column, f"{default:g}")
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{column} must be a number, not {quoted(text)}") from None
    if not 0 < number < 1e5:
        raise ValueError(f"{column} must be a positive number, not {quoted(text)}")
    return number


def _network(name: str) -> Architecture:
    """Return a network given as compact text or by its reference name."""
    if "," in name:
        return parse(name)
    try:
        return reference(name)
    except UserError:
        raise Skipped(f"unknown network {name[:60]}") from None


def _full_name(model: str, width: float, resolution: int) -> str:
    model = _NETWORKS.get(model, model)
    name = model if width == 1.0 else f"{model}_{width:g}"
    return name if resolution == 224 or "@" in name else f"{name}@{resolution}"


def _view(row: Row) -> str:
    for (model, source), view in _VIEWS.items():
        if row["model"].startswith(model) and source in row.get("source", ""):
            return view
    return ""


def _end_to_end_row(row: Row, target: Target) -> Sample:
    from latency_lut.pytorchcv_ops import pytorchcv_ops

    column = _COLUMNS.get(replace(target, unlabelled=False))
    if column is None or not row.get(column):
        raise Skipped(f"no measurement on one big core of {target.device} in {target.precision}")
    name = row["network"].strip()
    return Sample(name, "", pytorchcv_ops(name), latency(row[column]), True)


_NETWORK_FORMS: tuple[tuple[frozenset[str], RowReader], ...] = (
    (frozenset(("model", "latency_ms")), _endpoint_row),
    (frozenset(("network", *_COLUMNS.values())), _end_to_end_row),
)
