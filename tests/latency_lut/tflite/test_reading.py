"""TFLite files read back as graphs and as ops: our own, and one that Google made."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from latency_lut.tflite import module_model
from latency_lut.tflite.ops import found_ops
from latency_lut.tflite.quantise import quantise_int8
from latency_lut.tflite.read import read_graph
from nas.cli.app import app
from searchspace import reference
from searchspace.architecture import Padding
from searchspace.modules import build_network
from searchspace.support.errors import UserError

WEIGHTS = Path(__file__).parents[4] / "shared/data/weights"
GOOGLES = WEIGHTS / "mobilenet_v2_1.0_224_quant.tflite"
needs_data = pytest.mark.skipif(not GOOGLES.exists(), reason=f"needs {GOOGLES}")


def counted(architecture):
    return Counter(op for layer in architecture.ops() for op in layer.ops)


@pytest.mark.parametrize("name", ["mobilenet_v3_small@128", "mobilenext_0.35@128", "mnasnet_a1@128"])
@pytest.mark.parametrize("form", ["float32", "float16", "int8"])
def test_our_files_hold_the_ops_of_their_architecture(name, form):
    network = build_network(reference(name), seed=0)
    content = module_model(network, (1, 3, 128, 128), weights="float16" if form == "float16" else "float32")
    graph = read_graph(quantise_int8(content) if form == "int8" else content)
    assert graph.precision == ("int8" if form == "int8" else "float32")
    found = found_ops(graph)
    assert Counter(op for _, op in found.ops) == counted(network.architecture) and not found.unpriced


def test_symmetric_padding_is_read_as_the_ops_that_were_priced():
    architecture = replace(reference("mobilenet_v3_small@128"), padding=Padding.SYMMETRIC)
    found = found_ops(read_graph(module_model(build_network(architecture, seed=0), (1, 3, 128, 128))))
    assert Counter(op for _, op in found.ops) == counted(architecture) and not found.unpriced


@needs_data
def test_ops_and_weights_of_a_file_that_google_made():
    graph = read_graph(GOOGLES)
    assert graph.precision == "int8"
    assert Counter(op for _, op in found_ops(graph).ops) == counted(reference("mobilenet_v2").with_classes(1001))
    kernels = [operator.inputs[1].values for operator in graph.operators if "CONV" in operator.name]
    with np.load(WEIGHTS / "mobilenet_v2_1.0_224_float.npz") as known:
        names = sorted(name for name in known.files if name.endswith("_w"))
        assert all(np.array_equal(ours, known[name]) for ours, name in zip(kernels, names, strict=True))


@needs_data
def test_the_command_prices_and_times_a_file_of_somebody_else():
    def answer(*more: str):
        result = CliRunner().invoke(app, ["latency", str(GOOGLES), "--json", *more])
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    priced, whole = answer("--device", "pixel1_int8"), reference("mobilenet_v2").with_classes(1001)
    assert priced["madds"] == whole.madds and priced["low_ms"] < priced["latency_ms"] < priced["high_ms"]
    assert "float32" in answer("--device", "pixel")["note"]
    assert answer("--device", "host")["measured_ms"] > 0


def test_what_no_table_knows_is_refused_by_name(tmp_path):
    import torch

    class Strange(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.interpolate(x, size=(9, 9), mode="bilinear")

    path = tmp_path / "strange.tflite"
    path.write_bytes(module_model(Strange(), (1, 3, 8, 8)))
    result = CliRunner().invoke(app, ["latency", str(path)])
    assert result.exit_code == 2 and "RESIZE_BILINEAR" in result.stderr and "whole factor" in result.stderr
    missing = CliRunner().invoke(app, ["latency", str(tmp_path / "none.tflite")])
    assert missing.exit_code == 2 and "no such file" in missing.stderr


def test_damage_is_refused():
    content = module_model(build_network(reference("mobilenet_v3_small_0.75@32"), seed=0), (1, 3, 32, 32))
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(content)
        # Nearly all bytes are weights, in which any value is fine: aim at what surrounds them.
        places = np.concatenate([rng.integers(0, 64, 2), rng.integers(len(content) - 60_000, len(content), 6)])
        for place in places[rng.integers(0, 8, 3)]:
            damaged[place] = rng.integers(0, 256)
        with contextlib.suppress(UserError):
            found_ops(read_graph(bytes(damaged[: len(content) - int(rng.integers(0, 2)) * 1000])))
