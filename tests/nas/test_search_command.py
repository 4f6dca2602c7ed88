"""`nas search` from the command line to the run's folder, and everything that can go wrong on the way."""

from __future__ import annotations

import csv
import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from latency_lut import predict
from latency_lut.devices import load_device
from latency_lut.tflite.read import read_graph
from nas.cli.app import app
from nas.jobs.search.figures import precision_warning
from searchspace import resolve_network

ROOT = Path(__file__).parents[2]
QUICK = ("--budget", "60ms", "--evaluations", "1500", "--no-export")
LONGER = ("--budget", "60ms", "--evaluations", "30000", "--no-export")  # enough left to interrupt
SEARCH_FILES = {
    "settings.yaml",
    "journal.jsonl",
    "architecture.yaml",
    "latency.csv",
    "front.csv",
    "front.png",
    "report.html",
    "result.json",
}


def search(*arguments: str, status: int = 0):
    result = CliRunner().invoke(app, ["search", *arguments])
    assert result.exit_code == status, result.output + repr(result.exception)
    return result


def start(*arguments: str, **options) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nas.cli.app", "search", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # A shell that runs the tests in the background has Ctrl-C ignored in all they start; a user's has not.
    options.setdefault("preexec_fn", lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search") / "run"
    document = json.loads(search(*QUICK, "--out", str(folder), "--json").stdout)
    assert document == json.loads((folder / "result.json").read_text())
    return folder


@pytest.fixture(scope="module")
def longer_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("longer") / "run"
    search(*LONGER, "--out", str(folder))
    return folder


def test_the_folder_holds_everything(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == SEARCH_FILES


def test_the_result_keeps_the_budget_and_says_what_it_rests_on(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    assert result["low_ms"] < result["latency_ms"] < result["high_ms"] <= result["budget_ms"] == 60
    assert result["seed"] == 0
    assert result["evaluations"] == 1500
    assert result["latency_table"]["method"] == "calibrated"
    assert "ImageNet" in result["accuracy"]["label"]
    prediction = predict(load_device("pixel"), resolve_network(result["architecture"]))
    assert (result["latency_ms"], result["high_ms"]) == (prediction.latency_ms, prediction.high_ms)


def test_the_folder_is_a_network(run: Path) -> None:
    architecture = json.loads((run / "result.json").read_text())["architecture"]
    assert str(resolve_network(str(run))) == architecture
    shown = CliRunner().invoke(app, ["latency", str(run), "mobilenet_v3_large", "--device", "pixel"])
    assert shown.exit_code == 0


def test_the_front_rises_and_brackets_the_budget(run: Path) -> None:
    with (run / "front.csv").open() as file:
        rows = list(csv.DictReader(file))
    latencies, top1 = [float(row["latency_ms"]) for row in rows], [float(row["top1"]) for row in rows]
    assert latencies == sorted(latencies)
    assert top1 == sorted(top1)
    assert latencies[0] < 50 < 60 < latencies[-1]


def test_latency_by_layer_adds_up(run: Path) -> None:
    with (run / "latency.csv").open() as file:
        total = sum(float(row["latency_ms"]) for row in csv.DictReader(file))
    assert total == pytest.approx(json.loads((run / "result.json").read_text())["latency_ms"], abs=0.01)


def test_the_same_seed_gives_the_same_files(run: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    search(*QUICK, "--out", str(again))
    for name in sorted(SEARCH_FILES):
        assert (again / name).read_bytes() == (run / name).read_bytes(), name


def test_another_seed_gives_another_search(run: Path, tmp_path: Path) -> None:
    search(*QUICK, "--seed", "1", "--out", str(tmp_path / "other"))
    assert (tmp_path / "other" / "front.csv").read_bytes() != (run / "front.csv").read_bytes()


def test_the_winner_beats_mobilenet_v3_large_at_its_latency(longer_run: Path) -> None:
    result = json.loads((longer_run / "result.json").read_text())
    large = next(one for one in result["references"] if one["network"] == "mobilenet_v3_large")
    assert large["found_as_fast_top1"] > large["top1"]


def test_a_table_for_reading_ends_the_run(tmp_path: Path) -> None:
    result = search(*QUICK, "--out", str(tmp_path / "run"))
    assert "found network" in result.stdout
    assert "mobilenet_v3_large" in result.stdout
    assert "report.html" in result.stdout


@pytest.mark.timeout(900)  # a conversion takes half a minute, on a busy machine many
def test_export_runs_the_model_and_marks_it_untrained(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="exporting needs ai-edge-litert")
    folder = tmp_path / "run"
    search("--budget", "40ms", "--evaluations", "250", "--out", str(folder))
    export = json.loads((folder / "export.json").read_text())
    assert export["weights"] == "untrained"
    assert export["host_latency_ms"] > 0
    assert export["predicted_latency_ms"] == json.loads((folder / "result.json").read_text())["latency_ms"]
    assert b"untrained weights" in (folder / "model.tflite").read_bytes()
    assert "untrained" in (folder / "report.html").read_text()


def test_a_search_for_an_int8_table_delivers_an_int8_file(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_quantizer")
    out = tmp_path / "int8"
    arguments = ["--budget", "20ms", "--device", "pixel4_int8", "--evaluations", "300", "--out", str(out)]
    result = search(*arguments)
    graph = read_graph(out / "model.tflite")
    assert {out.dtype for operator in graph.operators for out in operator.outputs} == {"int8"}
    export = json.loads((out / "export.json").read_text())
    assert export["precision"] == "int8" and "noise" in export["calibration"]
    assert "noise" in " ".join(result.stdout.split()) and "HARD_SWISH" in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--budget", "60"), "60ms"),
        (("--budget", "60 parsecs"), "parsecs"),
        (("--budget", "sixty"), "60ms"),
        (("--budget", "-5ms"), "-5ms"),
        (("--budget", "nanms"), "nanms"),
        (("--budget", "1ms"), "possible range"),
        (("--budget", "60ms", "--device", "iphone"), "iphone"),
        (("--budget", "60ms", "--space", "mobilnetv3"), "mobilenetv3"),
        (("--budget", "60ms", "--space", "mobile"), "--data"),
        (("--budget", "60ms", "--strategy", "luck"), "evolution"),
        (("--budget", "60ms", "--seed", "-1"), "seed"),
        (("--budget", "60ms", "--evaluations", "0"), "evaluations"),
        (("--budget", "60ms", "--netadapt", "51ms"), "--data"),
        (("--budget", "60ms", "--netadapt", "51", "--data", "digits"), "51ms"),
        (("--budget", "60ms", "--name", "a/b"), "--name"),
        (("--budget", "60ms", "--name", "a", "--out", "b"), "--out"),
        (("--budget", "60ms", "--resume", "--name", "nothing-here"), "no run to resume"),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(
    arguments: tuple[str, ...], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = search(*arguments, "--no-export", status=2)
    assert expected in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_an_impossible_budget_is_refused_within_a_second() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = start("--budget", "1ms", "--device", "pixel")
    _, message = process.communicate(timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert process.returncode == 2
    assert "possible range" in message
    # Processor time, since other work on the machine must not fail this test.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.2


def test_a_finished_run_is_not_overwritten(run: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    assert "finished run" in search(*QUICK, "--out", str(run), status=2).stderr
    assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before


def test_resuming_a_finished_run_gives_its_result(run: Path) -> None:
    before = (run / "result.json").read_text()
    again = search(*QUICK, "--out", str(run), "--resume", "--json")
    assert json.loads(again.stdout) == json.loads(before)


def test_a_damaged_table_or_space_is_refused(tmp_path: Path) -> None:
    table, space = tmp_path / "phone.csv", tmp_path / "space.yaml"
    table.write_text("\n".join(Path(load_device("pixel").path).read_text().splitlines()[:60]))
    space.write_text("name: [1, 2")
    assert str(table) in search(*QUICK, "--device", str(table), status=2).stderr
    assert str(space) in search(*QUICK, "--space", str(space), status=2).stderr


def _wait_for_journal(process: subprocess.Popen[str], journal: Path, size: int) -> None:
    deadline = time.monotonic() + 90
    while process.poll() is None and time.monotonic() < deadline:
        if journal.exists() and journal.stat().st_size > size:
            return
        time.sleep(0.01)
    raise AssertionError(f"the search wrote no journal: {process.communicate()}")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_search_resumes_to_the_same_result(
    stop: signal.Signals, longer_run: Path, tmp_path: Path
) -> None:
    stopped = tmp_path / "stopped"
    process = start(*LONGER, "--out", str(stopped))
    _wait_for_journal(process, stopped / "journal.jsonl", 20_000)
    process.send_signal(stop)
    _, message = process.communicate(timeout=60)
    assert not (stopped / "result.json").exists(), "nothing half-written looks whole"
    if stop != signal.SIGKILL:
        assert process.returncode == 130
        assert "--resume" in message
        assert "Traceback" not in message
    search(*LONGER, "--out", str(stopped), "--resume")
    for name in ("result.json", "front.csv", "journal.jsonl"):
        assert (stopped / name).read_bytes() == (longer_run / name).read_bytes()


def test_resume_with_other_settings_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    search(*QUICK, "--out", str(folder))
    (folder / "result.json").unlink()
    message = search(*QUICK, "--seed", "7", "--out", str(folder), "--resume", status=2).stderr
    assert "seed: 0 then, 7 now" in message


def test_a_folder_that_cannot_be_written() -> None:
    place = Path("/proc/nas-run")
    if not place.parent.is_dir():
        pytest.skip("needs /proc")
    message = search(*QUICK, "--out", str(place), status=1).stderr
    assert str(place) in message


def test_a_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a small disk")
    try:
        message = search(*QUICK, "--out", str(disk / "run"), status=1).stderr
        assert "disk is full" in " ".join(message.split())
        assert not (disk / "run" / "result.json").exists()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_options_for_images_need_images(tmp_path):
    asked = ("--supernet-training", "differentiable", "--epochs", "3", "--out", str(tmp_path / "run"))
    ended = search("--budget", "60ms", *asked, status=2)
    assert "--supernet-training, --epochs: only a search on images" in " ".join(ended.output.split())
    assert not (tmp_path / "run").exists()


def test_several_budgets_are_each_kept_and_named(tmp_path: Path) -> None:
    devices = ("--device", "pixel1=60ms", "--device", "pixel4=20ms", "--front", "latency", "--front", "params")
    found = search(*devices, "--evaluations", "1000", "--no-export", "--out", str(tmp_path / "two"), "--json")
    result = json.loads(found.stdout)
    network = resolve_network(result["architecture"])
    for kept, device, limit_ms in zip(result["constraints"], ("pixel1", "pixel4"), (60, 20), strict=True):
        prediction = predict(load_device(device), network)
        assert kept["metric"] == f"latency_ms@{device}" and kept["limit"] == limit_ms
        assert (kept["value"], kept["high"]) == (prediction.latency_ms, prediction.high_ms)
        assert kept["high"] <= limit_ms
    assert result["latency_ms"] == result["metrics"]["latency_ms@pixel1"]["value"]
    assert result["metrics"]["params"] == {"value": network.params, "unit": "", "better": "lower"}
    with (tmp_path / "two" / "front.csv").open() as file:
        rows = [(float(row["latency_ms"]), int(row["params"]), -float(row["top1"])) for row in csv.DictReader(file)]
    beaten = [a for a in rows if any(b != a and all(x <= y for x, y in zip(b, a, strict=True)) for b in rows)]
    assert len(rows) > 20 and not beaten
    page = (tmp_path / "two" / "report.html").read_text()
    assert "The budgets" in page and "Parameters against accuracy" in page and "How the front grew" in page
    again = json.loads(search("--resume", str(tmp_path / "two"), "--json").stdout)
    assert again == result


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--device", "pixel1=60ms", "--device", "pixel4"), "needs its budget"),
        (("--device", "pixel1"), "no budget was given"),
        (("--device", "pixel1=60ms", "--budget", "60ms"), "two budgets for pixel1"),
        (("--device", "pixel1=60ms", "--device", "pixel1=50ms"), "given twice"),
        (("--device", "pixel1=60", "--device", "pixel4=20ms"), "has no unit"),
        (("--budget", "60ms", "--front", "speed"), "unknown metric"),
        (("--budget", "60ms", "--front", "top1"), "each metric but top1 once"),
    ],
)
def test_budgets_and_fronts_that_make_no_sense_are_refused(tmp_path: Path, options, message: str) -> None:
    found = search(*options, "--out", str(tmp_path / "x"), status=2)
    assert message in " ".join(found.output.split())
    assert not (tmp_path / "x").exists()


def test_a_budget_that_every_network_keeps_is_answered_with_the_best(tmp_path: Path) -> None:
    found = search("--budget", "400ms", "--evaluations", "500", "--no-export", "--out", str(tmp_path / "all"))
    assert "it did not bind" in " ".join(found.output.split())
    result = json.loads((tmp_path / "all" / "result.json").read_text())
    with (tmp_path / "all" / "front.csv").open() as file:
        assert result["top1"] == pytest.approx(max(float(row["top1"]) for row in csv.DictReader(file)), abs=1e-4)
    assert result["budget_binds"] is False
    assert "it did not bind" in (tmp_path / "all" / "report.html").read_text()


def test_a_search_goes_on_by_its_folder_alone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "settings.yaml").write_bytes((run / "settings.yaml").read_bytes())
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "half" / "journal.jsonl").write_text("".join(lines[: len(lines) // 2]))
    search("--resume", str(tmp_path / "half"))
    assert (tmp_path / "half" / "result.json").read_bytes() == (run / "result.json").read_bytes()
    assert (tmp_path / "half" / "journal.jsonl").read_bytes() == (run / "journal.jsonl").read_bytes()
    assert "leave every other option out" in search("--resume", str(run), "--seed", "1", status=2).output
    assert "without --resume" in search(str(run), status=2).output


def test_the_next_command_can_be_pasted(tmp_path: Path) -> None:
    place = tmp_path / "Tab (1) [b]"
    found = search("--budget", "60ms", "--evaluations", "300", "--no-export", "--out", str(place))
    command = next(line for line in found.output.splitlines() if line.strip().startswith("nas latency"))
    words = shlex.split(command)
    assert words[:3] == ["nas", "latency", str(place)]
    assert f"Written to {place}" in found.output.replace("\n", " ") or str(place) in found.output.replace("\n", "")


def test_budgets_of_several_precisions_are_told_loudly() -> None:
    said = precision_warning({"pixel4": "float32", "pixel4_int8": "int8"})
    assert said is not None and "the exported model is float32, as on pixel4" in said
    assert precision_warning({"pixel1": "float32", "pixel4": "float32"}) is None


def test_the_page_is_made_again_from_the_folder(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "report.html").unlink()
    found = CliRunner().invoke(app, ["report", str(copy)])
    assert found.exit_code == 0 and "was made again" in found.output
    before, now = ((folder / "report.html").read_text() for folder in (run, copy))
    assert before.split("Settings and versions")[0] == now.split("Settings and versions")[0]


@pytest.mark.bound
def test_a_search_says_how_far_it_is_from_the_best(tmp_path):
    place = tmp_path / "bounded"
    line = ("--budget", "60ms", "--strategy", "exact", "--evaluations", "200", "--no-export", "--out", str(place))
    found = search(*line)
    result = json.loads((place / "result.json").read_text(encoding="utf-8"))
    assert result["top1"] <= result["estimated_bound_top1"] <= result["bound_top1"] < 85
    assert result["top1"] > 76.3
    assert result["proved_optimal"] is False
    told = "points from the best of the space (proven"
    assert told in " ".join(found.output.split())
    assert told in " ".join((place / "report.html").read_text(encoding="utf-8").split())
