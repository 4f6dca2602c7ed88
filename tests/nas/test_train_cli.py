"""`nas train` as a person runs it: whole runs, kill -9 and resume, JSON, mistakes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from nas.cli.app import app
from searchspace.reference import reference
from searchspace.resolve import resolve_network
from searchspace.text import parse
from searchspace.weights import load_network
from searchspace.yaml_io import save_architecture

TINY = "r8,stem_k3_s1_c8_hs,ir_k3_s2_h16_c8_re_se8,head_c16_hs,n10"
COMMON = ["--data", "digits", "--subset", "400", "--batch-size", "64", "--no-export"]


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["train", *arguments])


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def numbers_of(folder: Path) -> list[tuple[float, float, float]]:
    return [(entry["train_loss"], entry["search"]["loss"], entry["search"]["top1"]) for entry in log_of(folder)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    done = run(TINY, *COMMON, "--epochs", "3", "--out", str(folder))
    assert done.exit_code == 0, done.output
    return folder


def test_a_run_leaves_everything_in_its_folder(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names >= {"settings.yaml", "log.jsonl", "checkpoint.pt", "weights.safetensors", "result.json", "curve.png"}
    assert Image.open(finished / "curve.png").size[0] > 500
    assert [entry["epoch"] for entry in log_of(finished)] == [1, 2, 3]
    assert yaml.safe_load((finished / "settings.yaml").read_text())["data"] == "digits"
    assert any((finished / "tensorboard").iterdir())


def test_its_page_is_made_again(finished: Path, page_made_again) -> None:
    page_made_again(finished)


def test_the_weights_in_the_folder_are_those_that_were_tested(finished: Path) -> None:
    from nas.data import load_data
    from nas.training import evaluate

    result = json.loads((finished / "result.json").read_text())
    network = load_network(finished / "weights.safetensors")
    assert network.architecture == resolve_network(str(finished))
    test = load_data("digits", subset=400).test_split()
    assert evaluate(network, test.batches(256)).top1 == result["test"]["top1"]


def test_json_is_one_document_on_stdout(tmp_path: Path) -> None:
    done = run(TINY, *COMMON, "--epochs", "1", "--out", str(tmp_path / "run"), "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["test"]["count"] == 348
    assert document["folder"] == str(tmp_path / "run")


def test_the_exported_model_is_as_accurate_as_pytorch(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("ai_edge_litert")
    arguments = [argument for argument in COMMON if argument != "--no-export"]
    done = run(TINY, *arguments, "--epochs", "2", "--out", str(tmp_path / "run"), "--json")
    assert done.exit_code == 0, done.output
    check = json.loads(done.stdout)["export"]["accuracy_check"]
    assert check["images"] > 300
    assert check["same_answer_pct"] > 99


def test_a_network_found_for_an_int8_table_is_delivered_in_int8(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_quantizer")
    found = tmp_path / "found"
    found.mkdir()
    save_architecture(parse(TINY), found / "architecture.yaml")
    (found / "result.json").write_text(json.dumps({"device": "pixel4_int8"}))
    arguments = ["--data", "digits", "--subset", "400", "--batch-size", "64", "--epochs", "2"]
    result = run(str(found), *arguments, "--out", str(tmp_path / "run"), "--json")
    assert result.exit_code == 0, result.stderr
    export = json.loads(result.stdout)["export"]
    assert export["precision"] == "int8" and "training images of digits" in export["calibration"]
    check = export["accuracy_check"]
    assert abs(check["tflite_top1"] - check["torch_top1"]) < 15 and check["same_answer_pct"] > 75
    assert "training images of digits" in (tmp_path / "run" / "report.html").read_text()


def test_killed_and_resumed_is_the_same_as_never_killed(tmp_path: Path, finished: Path) -> None:
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "nas.cli.app", "train", TINY, *COMMON, "--epochs", "3", "--out", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    options = ["--checkpoint-seconds", "0"]
    with subprocess.Popen([*command, *options], env=environment, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not (folder / "log.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "result.json").exists()
    half = run(str(folder), "--resume", "--epochs", "3")
    assert half.exit_code == 2 and "--epochs: a run goes on with its own settings" in half.stderr
    done = run("--resume", str(folder))  # its own settings, none given again
    assert done.exit_code == 0, done.output
    assert numbers_of(folder) == numbers_of(finished)


def test_a_run_folder_starts_from_its_weights_unless_from_scratch(tmp_path: Path, finished: Path) -> None:
    done = run(str(finished), *COMMON, "--epochs", "1", "--out", str(tmp_path / "on"), "--json")
    assert "weights.safetensors" in json.loads(done.stdout)["weights"]
    done = run(str(finished), *COMMON, "--epochs", "1", "--out", str(tmp_path / "new"), "--from-scratch", "--json")
    assert json.loads(done.stdout)["weights"] == "fresh, seed 0"


def test_weights_for_other_classes_keep_all_but_the_classifier(tmp_path: Path, finished: Path) -> None:
    for label in ("ant", "bee", "cat"):
        for index in range(10):
            path = tmp_path / "images" / label / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 80 * (ord(label[0]) - 97) + index).save(path)
    data = ["--data", f"imagefolder:{tmp_path / 'images'}", "--image-size", "8", "--epochs", "1", "--no-export"]
    weights = str(finished / "weights.safetensors")
    done = run(TINY, *data, "--weights", weights, "--out", str(tmp_path / "run"), "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert "fresh classifier (10 classes there, 3 here)" in document["weights"]
    assert document["classes"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mobilenet_v9", "--data", "digits"], "mobilenet_v9"),
        ([TINY, "--data", "cifar11:x"], "expected one of: digits"),
        ([TINY, "--data", "digits", "--recipe", "adam"], "unknown recipe 'adam'"),
        ([TINY, "--data", "digits", "--epochs", "0"], "at least 1"),
        ([TINY, "--data", "digits", "--learning-rate", "-1"], "learning_rate is -1"),
        ([TINY, "--data", "digits", "--weights", "no.safetensors"], "no such weights file"),
        ([TINY, "--data", "digits", "--weights", "x", "--from-scratch"], "exclude each other"),
        ([TINY, "--data", "digits", "--resume"], "no run to resume"),
        ([TINY, "--data", "digits", "--torch-device", "gpu"], "gpu"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = run(*arguments, "--out", str(tmp_path / "run"))
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


def test_compact_text_longer_than_a_file_name_is_a_network() -> None:
    from nas.training.start import find_weights

    assert find_weights(str(reference("mobilenext")), None, False) is None


def test_a_finished_run_is_neither_overwritten_nor_resumed(finished: Path) -> None:
    again = run(TINY, *COMMON, "--epochs", "3", "--out", str(finished))
    assert again.exit_code == 2 and "already holds a finished run" in again.stderr
    resumed = run(TINY, *COMMON, "--epochs", "3", "--out", str(finished), "--resume")
    assert resumed.exit_code == 2 and "nothing to resume" in resumed.stderr


def test_resuming_with_other_settings_shows_the_difference(finished: Path) -> None:
    done = run(TINY, *COMMON, "--epochs", "4", "--out", str(finished), "--resume")
    assert done.exit_code == 2
    assert "epochs: 3 then, 4 now" in done.stderr


def test_divergence_exits_with_advice_and_no_traceback(tmp_path: Path) -> None:
    done = run(TINY, *COMMON, "--learning-rate", "1e20", "--clip-norm", "1e30", "--out", str(tmp_path / "run"))
    assert done.exit_code == 2
    assert "no longer finite" in done.stderr and "Traceback" not in done.stderr
