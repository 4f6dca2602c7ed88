"""How images are prepared goes with weights: into training, its files, an export and what is read back from it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from latency_lut.tflite.read import read_graph
from nas.cli.app import app
from nas.weights import Preparation, WeightsInfo, open_weights
from searchspace.modules import build_network
from searchspace.text import parse
from searchspace.weights import save_weights

TINY = "r64,stem_k3_s2_c8_r6,ir_k3_s2_h16_c8_r6,head_c16_r6,n2"
PREPARED = Preparation(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), image_size=64, crop=0.8)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("chain")
    rng = np.random.default_rng(0)
    for shade, name in enumerate(("ant", "bee")):
        (place / "images" / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 100, (80, 90, 3)) + 100 * shade
            Image.fromarray(pixels.astype(np.uint8)).save(place / "images" / name / f"{index}.png")
    info = WeightsInfo(source="", labels=("ant", "bee"), preparation=PREPARED)
    save_weights(build_network(parse(TINY), seed=0), place / "start.safetensors", **info.file_notes())
    return place


def run(*line: str) -> str:
    ran = CliRunner().invoke(app, list(line))
    assert ran.exit_code == 0, f"{ran.output}{ran.exception}"
    return ran.output


def test_preparation_travels_from_weights_to_training_export_and_evaluation(place: Path) -> None:
    images = f"imagefolder:{place / 'images'}"
    start = ("--weights", str(place / "start.safetensors"), "--data", images)
    run("train", TINY, *start, "--recipe", "fine-tune", "--epochs", "1", "--image-size", "64", "--out", f"{place}/run")
    for file in ("weights.safetensors", "model.tflite"):
        read = open_weights(place / "run" / file, parse(TINY)).info
        assert read.labels == ("ant", "bee") and read.preparation is not None
        assert read.preparation.crop == 0.8 and read.preparation.image_size == 64
        np.testing.assert_allclose(read.preparation.mean, PREPARED.mean, rtol=1e-6)
        np.testing.assert_allclose(read.preparation.std, PREPARED.std, rtol=1e-6)
    run("export", f"{place}/run", "--out", f"{place}/again.tflite")
    told = json.loads(read_graph(place / "again.tflite").metadata["nas.usage"])["input"]
    assert told["channels"] == "RGB" and told["crop"] == 0.8 and told["resize"].startswith("shorter side resized to 80")
    found = [
        json.loads(ran.partition("{")[1] + ran.partition("{")[2])
        for ran in (
            run("evaluate", str(network), "--data", images, "--json")
            for network in (place / "run", place / "again.tflite")
        )
    ]
    for one in found:
        assert one["preparation"]["crop"] == 0.8 and one["preparation"]["channel_order"] == "RGB"
        assert one["preparation"]["mean"] == pytest.approx(PREPARED.mean, rel=1e-6)
    assert found[0]["loss"] == pytest.approx(found[1]["loss"], rel=1e-3)
    result = json.loads((place / "run" / "result.json").read_text())
    assert result["preparation"]["crop"] == 0.8 and result["preparation"]["channel_order"] == "RGB"
