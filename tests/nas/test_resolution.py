"""A network keeps its resolution and strides through training; a change is asked for and told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from nas.cli.app import app
from nas.training.start import start_network
from searchspace.modules import build_network
from searchspace.reference import reference
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError
from searchspace.text import parse
from searchspace.weights import load_state, read_weights, save_weights

AT_40 = "r40,stem_k3_s2_c8_hs,ir_k3_s2_h16_c16_re,head_c32_hs,n2"


def train(*arguments: str) -> Any:
    done = CliRunner().invoke(app, ["train", *arguments, "--epochs", "1", "--no-export", "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (folder / label).mkdir()
        for number in range(12):
            Image.fromarray(rng.integers(0, 255, (90, 120, 3), np.uint8)).save(folder / label / f"{number}.png")
    return f"imagefolder:{folder}"


def test_training_keeps_the_resolution_of_the_network(tmp_path: Path, photos: str) -> None:
    result = train(AT_40, "--data", photos, "--batch-size", "8", "--out", str(tmp_path / "run"))
    assert result["image_size"] == 40 and result["change"] is None
    assert result["architecture"] == result["runs_as"] == AT_40
    # A second training from the folder is of the same network at the same size.
    again = train(str(tmp_path / "run"), "--data", photos, "--batch-size", "8", "--out", str(tmp_path / "again"))
    assert again["runs_as"] == AT_40 and "weights.safetensors" in again["weights"]


def test_another_size_is_asked_for_and_told(tmp_path: Path, photos: str) -> None:
    result = train(AT_40, "--data", photos, "--batch-size", "8", "--image-size", "72", "--out", str(tmp_path / "run"))
    assert resolve_network(str(tmp_path / "run")) == parse(AT_40).with_resolution(72)
    assert "runs at 72 px (as asked) in place of 40 px: 0.2 M multiply-adds become 0.7 M" in result["change"]


def test_a_stride_is_dropped_where_asked_and_the_folder_keeps_the_network(tmp_path: Path, photos: str) -> None:
    options = ["--data", photos, "--batch-size", "8", "--drop-strides", "1", "--out", str(tmp_path / "run")]
    result = train(AT_40, *options)
    assert result["architecture"] == AT_40 and parse(result["runs_as"]).stem.stride == 1
    assert result["madds"] < result["runs_as_madds"] and "1 stride(s) of 2 are dropped" in result["change"]
    assert resolve_network(str(tmp_path / "run")) == parse(AT_40)
    # The weights say how they were trained, and go on like that without being told.
    assert read_weights(tmp_path / "run" / "weights.safetensors")[0] == parse(result["runs_as"])
    start = start_network(
        str(tmp_path / "run"),
        image_size=40,
        classes=2,
        weights=tmp_path / "run" / "weights.safetensors",
        seed=0,
    )
    assert start.form.dropped_strides == 1 and start.asked == parse(AT_40)


@pytest.mark.parametrize("resolution", [96, 160])
def test_strides_stay_from_64_pixels_on(resolution: int) -> None:
    network = reference("mobilenet_v2")
    start = start_network(network, image_size=resolution, classes=1000, weights=None, seed=0)
    assert start.network.architecture == network.with_resolution(resolution)
    assert reference("mobilenet_v2").with_resolution(96).madds / 1e6 == pytest.approx(56, abs=0.7)


def test_strides_are_never_dropped_under_given_weights(tmp_path: Path) -> None:
    network = parse("r224,stem_k3_s2_c8_re,ir_k3_s2_h16_c16_re,ir_k3_s2_h16_c24_re,head_c16_re,n5")
    save_weights(build_network(network, seed=0), tmp_path / "w.safetensors")
    given: dict[str, Any] = {"image_size": 8, "classes": 5, "seed": 0}
    assert start_network(network, weights=None, **given).form.dropped_strides == 1
    assert start_network(network, weights=tmp_path / "w.safetensors", **given).form.dropped_strides == 0
    with pytest.raises(UserError, match="trained with 0 first strides dropped, not 2"):
        start_network(network, weights=tmp_path / "w.safetensors", dropped_strides=2, **given)


def test_weights_of_another_network_are_refused_by_architecture(tmp_path: Path) -> None:
    """All shapes agree; activations and strides do not."""
    save_weights(
        build_network(parse("r32,stem_k3_s2_c8_re,ir_k3_s1_h16_c16_re,head_c32_re,n5"), seed=0), tmp_path / "w"
    )
    other = "r32,stem_k3_s1_c8_hs,ir_k3_s2_h16_c16_hs,head_c32_hs,n5"
    with pytest.raises(UserError, match="another network: stem_k3_s2_c8_re where the network has stem_k3_s1_c8_hs"):
        start_network(other, image_size=32, classes=5, weights=tmp_path / "w", seed=0)


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (lambda tensor: tensor.fill_(float("nan")), "blocks.0.project.conv.weight holds values that are not finite"),
        (lambda tensor: tensor.to(torch.int8), "blocks.0.project.conv.weight holds torch.int8 numbers"),
    ],
)
def test_spoilt_weights_are_refused_by_name(tmp_path: Path, spoilt: Any, message: str) -> None:
    network = build_network(parse(AT_40), seed=0)
    save_weights(network, tmp_path / "w")
    _, state, _ = read_weights(tmp_path / "w")
    state["blocks.0.project.conv.weight"] = spoilt(state["blocks.0.project.conv.weight"])
    with pytest.raises(UserError, match=message):
        load_state(network, state, tmp_path / "w")
