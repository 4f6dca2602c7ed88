"""Conversion keeps what a network computes; timing and running refuse what is no model."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from latency_lut.measure import litert
from searchspace.errors import UserError
from searchspace.modules import build_network


@pytest.fixture(scope="module")
def network(tiny):
    network = build_network(tiny, seed=0).eval()
    torch.nn.init.normal_(network.head.classifier.weight, generator=torch.Generator().manual_seed(1))
    return network


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(-1, 1, (8, 3, 32, 32)).astype(np.float32)


def truth(network, images):
    with torch.no_grad():
        return network(torch.tensor(images)).numpy()


@pytest.fixture(scope="module")
def converted(network, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    plain = litert.convert(network, (1, 3, 32, 32), folder / "float.tflite")
    quantised = litert.convert(network, (1, 3, 32, 32), folder / "int8.tflite", "int8", images)
    return plain, quantised


def test_float_outputs_are_those_of_the_module(network, images, converted):
    outputs = litert.run(converted[0], np.moveaxis(images, 1, -1))
    np.testing.assert_allclose(outputs, truth(network, images), rtol=1e-3, atol=1e-4)


def test_int8_outputs_are_near(network, images, converted):
    wanted = truth(network, images)
    outputs = litert.run(converted[1], np.moveaxis(images, 1, -1))
    assert np.corrcoef(outputs.ravel(), wanted.ravel())[0, 1] > 0.98


def test_an_int8_file_is_integer_throughout(converted):
    interpreter = litert.load(converted[1])
    ends = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    assert {detail["dtype"] for detail in ends} == {np.int8}


def test_conversion_leaves_the_module_as_it_was(network):
    network.train()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(OSError):
        litert.convert(network, (1, 3, 32, 32), "/proc/no/such/folder/model.tflite")
    assert network.training
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    network.eval()


def test_timing_summarises_runs(converted):
    timing = litert.benchmark(converted[0], max_s=0.2)
    assert 0 < timing.median_ms < 1000 and timing.runs >= 11 and timing.spread >= 0


def test_spread_ignores_stalls():
    timing = litert.Timing.of([1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 50.0])
    assert timing.median_ms == pytest.approx(1.0, rel=0.01) and timing.spread < 0.03
    assert timing.median_error < 0.03


@pytest.mark.parametrize("content", [b"", b"TFL3", bytes(1000), b"x" * 64])
def test_what_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "broken.tflite"
    path.write_bytes(content)
    with pytest.raises(UserError, match="LiteRT cannot run"):
        litert.load(path)


def test_a_truncated_model_is_refused(converted, tmp_path):
    path = tmp_path / "cut.tflite"
    path.write_bytes(converted[0].read_bytes()[:2000])
    with pytest.raises(UserError, match="LiteRT cannot run"):
        litert.load(path)


def test_missing_packages_name_the_extra(monkeypatch, network):
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    with pytest.raises(UserError, match=r"phone-nas\[litert\]"):
        litert.convert(network, (1, 3, 32, 32), "never.tflite")
