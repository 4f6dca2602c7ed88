"""Published times of whole networks, in the file formats of their sources, as sums of ops.

Two forms: one row per network and device, of which only the columns of the model and the time need be there
(`published_endpoints.csv`), and one row per network of the `pytorchcv` package with a column per device, core and
precision (`tflite_end_to_end_pixel4_s10.csv`).
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

from latency_lut.blockfiles import BLOCK_FORMS, Row, RowReader, latency, read_block_yaml
from latency_lut.provenance import Precision
from latency_lut.samples import Reading, Sample, Skipped, Target
from searchspace.architecture import Architecture
from searchspace.reference import reference
from searchspace.support.errors import UserError
from searchspace.support.files import read_text
from searchspace.support.optional import MissingPackage
from searchspace.text import parse

_PRECISIONS = {
    **dict.fromkeys(("float", "float32", "fp32"), Precision.FLOAT32),
    **dict.fromkeys(("uint8", "int8", "quant", "8-bit"), Precision.INT8),
}
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
    rows = csv.DictReader(io.StringIO(read_text(path, "block or network file")))
    reading = Reading()
    try:
        read = _row_reader(set(rows.fieldnames or ()))
        for row in rows:
            _read_row(row, read, target, reading)
    except MissingPackage:
        raise
    except (*_UNREADABLE, csv.Error) as error:
        raise UserError(f"{path}, line {rows.line_num}: cannot be read: {error}") from None
    return reading


def _read_row(row: Row, read: RowReader, target: Target, reading: Reading) -> None:
    try:
        reading.samples.append(read(row, target))
    except Skipped as reason:
        reading.skipped[str(reason)] += 1


def _row_reader(columns: set[str]) -> RowReader:
    for wanted, read in (*BLOCK_FORMS, *_NETWORK_FORMS):
        if wanted <= columns:
            return read
    raise UserError(
        "not a known form of block or network file; its columns are "
        f"{', '.join(sorted(columns)[:12]) or '(none)'}. docs/latency.md lists the forms that are read"
    )


def _endpoint_row(row: Row, target: Target) -> Sample:
    """Read a row that names a network; columns that are absent say what the target says."""
    device = row.get("device", target.device).strip().lower().replace(" ", "_").replace("pixel_", "pixel")
    if device != target.device:
        raise Skipped("measured on another device")
    if _PRECISIONS.get(row.get("precision", target.precision).strip().lower()) is not target.precision:
        raise Skipped("measured in another precision")
    runtime = row.get("runtime", "tflite").lower()
    if "tflite" not in runtime or "gpu" in runtime:
        raise Skipped("another runtime than TFLite on the CPU")
    if row.get("threads", "1").strip() != "1":
        raise Skipped("threads unknown or not 1")
    name = row["model"].strip()
    if "," not in name:
        name = _full_name(name, float(row.get("depth_multiplier", 1)), int(row.get("resolution", 224)))
    ops = tuple(op for layer in _network(name).ops() for op in layer.ops)
    return Sample(name, _view(row), ops, latency(row["latency_ms"]), True)


def _network(name: str) -> Architecture:
    """Return a network given as compact text or by its reference name."""
    if "," in name:
        return parse(name)
    try:
        return reference(name)
    except UserError:
        raise Skipped(f"unknown network {name}") from None


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
    from latency_lut.calibrate.pytorchcv_ops import pytorchcv_ops

    column = _COLUMNS.get(replace(target, unlabelled=False))
    if column is None or not row.get(column):
        raise Skipped(f"no measurement on one big core of {target.device} in {target.precision}")
    name = row["network"].strip()
    return Sample(name, "", pytorchcv_ops(name), latency(row[column]), True)


_NETWORK_FORMS: tuple[tuple[frozenset[str], RowReader], ...] = (
    (frozenset(("model", "latency_ms")), _endpoint_row),
    (frozenset(("network", *_COLUMNS.values())), _end_to_end_row),
)
