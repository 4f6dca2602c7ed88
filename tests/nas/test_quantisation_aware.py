"""Quantisation-aware training: what is rounded, how near that is to the int8 file, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from latency_lut.tflite import module_model
from nas.cli.app import app
from nas.training.quantisation import Rounded, rounded, rounded_weights
from searchspace import parse
from searchspace.modules import build_network

TINY = "r32,stem_k3_s2_c8_hs,ir_k3_s1_h16_c8_re_se8,ir_k5_s2_h32_c16_hs_se8,head_c16_hs,n10"


def test_activations_have_256_steps_with_a_zero_and_gradients_pass():
    x = torch.linspace(-1, 3, 4001, requires_grad=True)
    y = rounded(x)
    assert len(y.unique()) == 256 and (y == 0).any()
    assert (y - x).abs().max() <= 4 / 255 / 2 + 1e-6
    y.sum().backward()
    assert x.grad.mean() > 0.99


def test_weights_are_rounded_for_each_output_channel():
    weights = torch.randn(4, 3, 3, 3) * torch.tensor([1e-3, 1.0, 10.0, 0.0])[:, None, None, None]
    steps = weights.abs().flatten(1).amax(1)[:, None, None, None] / 127
    found = rounded_weights(weights)
    assert ((found - weights).abs() <= steps / 2 + 1e-9).all() and (found[3] == 0).all()
    whole = found[:3] / steps[:3]
    assert (whole - whole.round()).abs().max() < 1e-3


def test_rounding_costs_as_much_as_in_the_int8_file():
    pytest.importorskip("ai_edge_quantizer")
    from latency_lut.tflite.quantise import quantise_int8
    from latency_lut.tflite.runtime import run

    network = build_network(parse(TINY), seed=1).eval()
    torch.nn.init.normal_(network.head.classifier.weight, std=0.5, generator=torch.Generator().manual_seed(0))
    images = np.random.default_rng(0).standard_normal((64, 3, 32, 32), np.float32)
    last = np.moveaxis(images, 1, -1)
    file = run(quantise_int8(module_model(network, (1, 3, 32, 32)), last), last)
    with torch.no_grad():
        exact, near = network(torch.from_numpy(images)).numpy(), Rounded(network)(torch.from_numpy(images)).numpy()
    assert 0.5 < np.std(near - exact) / np.std(file - exact) < 2


def test_a_fine_tuning_delivers_int8_and_needs_weights(tmp_path: Path):
    pytest.importorskip("ai_edge_quantizer")

    def train(network: object, *words: str):
        given = ("train", str(network), "--data", "digits", "--subset", "200", "--epochs", "1", *words)
        return CliRunner().invoke(app, given)

    assert train(TINY, "--no-export", "--out", str(tmp_path / "float")).exit_code == 0
    found = train(tmp_path / "float", "--quantisation-aware", "--out", str(tmp_path / "int8"), "--json")
    assert found.exit_code == 0, found.stderr
    told = json.loads(found.stdout)["export"]
    assert told["precision"] == "int8" and told["calibration"] == "128 training images of digits"
    assert told["accuracy_check"]["images"] > 0
    refused = train(TINY, "--quantisation-aware", "--out", str(tmp_path / "no"))
    assert refused.exit_code == 2 and "fine-tunes trained weights" in " ".join(refused.stderr.split())
    refused = train(tmp_path / "float", "--quantisation-aware", "--precision", "float32", "--out", str(tmp_path / "no"))
    assert refused.exit_code == 2 and "trains for int8" in " ".join(refused.stderr.split())
    assert not (tmp_path / "no").exists()
