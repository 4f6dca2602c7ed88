"""Searching from a pretrained network: which space, which network, what is learnt from it, what comes out."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from nas.cli.app import app
from nas.objectives import Objective
from nas.supernets.pretrained import at_size, network_name, space_around, weights_of
from nas.training.distillation import Teacher
from nas.weights import open_weights
from searchspace.modules import build_network
from searchspace.reference import reference
from searchspace.space import load_space
from searchspace.support.errors import UserError
from searchspace.weights import WEIGHTS_FILE, save_weights
from searchspace.yaml_io import save_architecture

NETWORK = "mobilenet_v2_0.35"
V2 = Path(__file__).parents[3] / "shared/data/weights/mobilenet_v2_1.0_224_quant.tflite"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "own.safetensors"
    save_weights(build_network(reference(NETWORK).with_resolution(64).with_classes(10), seed=0), file)
    return file


def test_network_of_a_file_is_found(weights: Path) -> None:
    assert space_around(str(weights), 64).startswith("around:r64,stem_k3_s2_c16_r6")
    with pytest.raises(UserError, match="too small"):
        space_around(str(weights), 32)
    assert at_size("mobile", 96) == "mobile"


@pytest.mark.skipif(not V2.is_file(), reason="the pretrained MobileNetV2 is not here")
def test_network_of_a_tflite_file_is_found() -> None:
    assert network_name(str(V2)) == "mobilenet_v2"


def test_a_space_around_a_run_brings_its_weights(weights: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    save_architecture(open_weights(weights).architecture, run / "architecture.yaml")
    (run / WEIGHTS_FILE).write_bytes(weights.read_bytes())
    assert weights_of(f"around:{run}@96") == str(run / WEIGHTS_FILE)
    assert weights_of(f"around:{NETWORK}") is None


def test_a_teacher_has_its_share_of_what_is_learnt() -> None:
    network = build_network(reference(NETWORK).with_resolution(64).with_classes(10), seed=0)
    images, labels = torch.randn(3, 3, 64, 64), torch.tensor([1, 2, 3])
    wanted = Teacher(network, 0.25).targets(images, labels)
    assert torch.allclose(wanted.sum(1), torch.ones(3))
    own = network.eval()(images).softmax(1)
    assert torch.allclose(wanted[0, 1], 0.25 * own[0, 1] + 0.75)


def test_search_from_weights_keeps_the_front_and_exports_from_it(weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = "--budget 5ms --data digits --image-size 64 --subset 96 --teacher-epochs 1 --epochs 1 --winner-epochs 1"
    line = ["search", *options.split(), "--evaluations", "10", "--search-images", "20", "--no-export"]
    ran = CliRunner().invoke(app, [*line, "--weights", str(weights), "--out", str(out), "--json"])
    assert ran.exit_code == 0, ran.output
    result = json.loads((out / "result.json").read_text())
    assert "the supernet starts as it" in result["accuracy"]["basis"]["pretrained"]
    rows = list(csv.DictReader((out / "front.csv").open()))
    files = sorted((out / "front").iterdir())
    assert len(files) == len(rows)
    for row, file in zip(rows, files, strict=True):
        assert str(open_weights(file).architecture) == row["architecture"]
    fastest = min(float(row["high_ms"]) for row in rows)
    place = tmp_path / "at.tflite"
    exported = CliRunner().invoke(
        app, ["export", str(out), "--at", f"{fastest + 1e-6}ms", "--out", str(place), "--json"]
    )
    assert exported.exit_code == 0, exported.output
    assert json.loads(exported.output)["weights"] == "trained"
    again = CliRunner().invoke(app, ["search", "--resume", str(out), "--json"])
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weights", "FILE", "--from-scratch"], "exclude each other"),
        (["--weights", "FILE", "--supernet-training", "differentiable"], "starts at random"),
        (["--weights", "nowhere.tflite"], "no such weights file"),
        (["--weights", "FILE", "--image-size", "32"], "too small"),
        (["--weights", "FILE", "--space", "around:mobilenet_v3_small"], "another network"),
        (["--weights", "FILE", "--teacher-share", "2"], "share"),
    ],
)
def test_what_cannot_be_is_refused(weights: Path, options: list[str], message: str) -> None:
    given = [str(weights) if option == "FILE" else option for option in options]
    ran = CliRunner().invoke(app, ["search", "--budget", "5ms", "--data", "digits", *given])
    assert ran.exit_code != 0
    assert message in f"{ran.output}{ran.exception}"


def test_networks_around_one_are_drawn_near_it_or_near_the_ceiling() -> None:
    space = load_space("around:mobilenet_v2@96")
    around = space.encode(reference("mobilenet_v2").with_resolution(96))
    cost = CompiledCost(space, load_device("pixel"))
    own_ms = float(cost.interval_ms(around[None])[1][0])
    rng = np.random.default_rng(0)
    near = Objective(cost, 0.75 * own_ms, around=around)
    uniform = Objective(cost, 0.75 * own_ms)
    drawn = near.sample(rng, 200)
    assert near.affordable(drawn).all()
    assert len(np.unique(drawn, axis=0)) > 150
    assert np.median(near.high_ms(drawn)) > 1.2 * np.median(uniform.high_ms(uniform.sample(rng, 200)))


def test_ranking_starts_from_weights(weights: Path, tmp_path: Path) -> None:
    options = "--data digits --image-size 64 --subset 40 --teacher-epochs 1 --epochs 1 --alone-epochs 1 --networks 10"
    line = [
        "rank",
        *options.split(),
        "--search-images",
        "16",
        "--weights",
        str(weights),
        "--out",
        str(tmp_path / "run"),
    ]
    ran = CliRunner().invoke(app, [*line, "--json"])
    assert ran.exit_code == 0, ran.output
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (
        result["truth"] == "trained alone from the pretrained network's weights, 1 epochs, accuracy on the search split"
    )
    kept = (tmp_path / "run" / "settings.yaml").read_text()
    assert "around:r64" in kept and str(weights) in kept
    refused = CliRunner().invoke(app, ["rank", "--data", "digits", "--weights", str(weights), "--image-size", "16"])
    assert refused.exit_code != 0 and "too small" in f"{refused.output}{refused.exception}"


def test_weights_mean_nothing_without_images(weights: Path) -> None:
    ran = CliRunner().invoke(app, ["search", "--budget", "5ms", "--weights", str(weights)])
    assert "--data" in f"{ran.output}{ran.exception}"
