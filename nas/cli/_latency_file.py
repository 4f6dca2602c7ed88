"""`nas latency FILE.tflite`: price a TFLite file that somebody made by a table, or time it on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from latency_lut.devices import HOST, device_names, load_device
from latency_lut.errors import UnmeasuredOp
from latency_lut.estimate import Estimate
from latency_lut.predict import Prediction, predict_layers
from latency_lut.provenance import Precision
from nas.cli._common import output_console, print_json
from searchspace.support.errors import UserError
from searchspace.support.quantities import milliseconds

SUFFIX = ".tflite"


def latency_of_file(path: str, device: str, extrapolate: bool, json: bool) -> None:
    """Print what the file is predicted to take on `device`, and for `host` also what it takes."""
    from latency_lut.tflite.ops import found_ops
    from latency_lut.tflite.read import read_graph

    graph = read_graph(path)
    found = found_ops(graph)
    timed = _timed(Path(path).read_bytes(), graph.precision) if device == HOST else None
    document: dict[str, Any] = {
        "file": path,
        "device": device,
        "precision": graph.precision,
        "madds": sum(op.madds for _, op in found.ops),
        "params": sum(op.params for _, op in found.ops),
        "ops": len(found.ops),
        "unpriced": found.unpriced,
    }
    prediction, note = _priced(found.ops, device, graph.precision, extrapolate)
    if prediction is not None:
        document |= {
            "latency_ms": prediction.latency_ms,
            "low_ms": prediction.low_ms,
            "high_ms": prediction.high_ms,
            "extrapolated": prediction.extrapolated,
        }
    if timed is not None:
        document |= {"measured_ms": timed.latency_ms, "measured_spread_ms": timed.spread_ms, "runs": timed.runs}
    if note:
        document["note"] = note
    if json:
        print_json(document)
    else:
        _print(document, prediction)


def _timed(content: bytes, precision: str) -> Estimate:
    from latency_lut.measure.host import Host
    from latency_lut.measure.rounds import time_file

    with Host() as host:
        measured = time_file(host, content, Precision(precision))
    return Estimate(measured.latency_ms, measured.latency_ms * measured.spread, measured.runs)


def _priced(
    ops: tuple[tuple[str, Any], ...], device: str, precision: str, extrapolate: bool
) -> tuple[Prediction | None, str]:
    """Return the table's prediction and what is to be said of it; for this machine without a table only the latter."""
    if device == HOST and HOST not in device_names():
        return None, "this machine has no table to predict with; `nas lut measure --device host` makes one"
    table = load_device(device)
    try:
        prediction = predict_layers(table, [(name, (op,)) for name, op in ops], extrapolate)
    except UnmeasuredOp as error:
        if device == HOST:
            return None, str(error)
        raise
    made = table.provenance.precision.value
    return prediction, "" if made == precision else f"the file computes in {precision}, the table of {device} is {made}"


def _print(document: dict[str, Any], prediction: Prediction | None) -> None:
    console = output_console()
    console.print(
        f"{document['file']}: {document['ops']} ops in {document['precision']}, "
        f"{document['madds'] / 1e6:.1f} M multiply-adds, {document['params'] / 1e6:.2f} M parameters",
        markup=False,
    )
    if prediction is not None:
        slowest = sorted(prediction.layers, key=lambda layer: -layer.latency_ms)[:5]
        for layer in slowest:
            console.print(f"  {layer.latency_ms:6.2f} ms  {layer.ops[0].op}", markup=False)
        console.print(
            f"{milliseconds(prediction.latency_ms)} ms predicted on {document['device']} "
            f"(90 % interval {milliseconds(prediction.low_ms)} to {milliseconds(prediction.high_ms)} ms); "
            f"the five slowest ops above",
            markup=False,
        )
    if "measured_ms" in document:
        console.print(f"{document['measured_ms']:.2f} ms measured on this machine ({document['runs']} runs)")
    if document["unpriced"]:
        listed = ", ".join(f"{count} {name}" for name, count in document["unpriced"].items())
        console.print(f"not priced by any table: {listed}", markup=False)
    if "note" in document:
        console.print(document["note"], markup=False)


def refuse_mixed(networks: list[str]) -> None:
    """Raise UserError when a file stands among several networks."""
    files = [network for network in networks if network.endswith(SUFFIX)]
    if files and len(networks) > 1:
        raise UserError(f"{files[0]} is a TFLite file: give one file at a time, without other networks")
