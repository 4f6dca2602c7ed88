"""`nas netadapt` end to end on a network small enough for seconds: run folder, resumption, engines, refusals."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from latency_lut.devices import load_device
from nas.cli import app
from nas.jobs.slim.history import KIND, Finals, Lineage
from nas.jobs.slim.settings import ResourceName, SlimSettings, parse_target
from nas.jobs.slim.start import find_initial
from nas.jobs.slim.tuning import Teacher, Tuner, state_of
from nas.jobs.slim.verdict import MethodScore, verdict
from nas.report.repricing import reprice
from nas.runs import RunFolder
from netadapt.schedule import Form
from searchspace.low_resolution import RunForm, run_form
from searchspace.modules import build_network
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError
from searchspace.support.log import read_log
from searchspace.text import parse
from searchspace.weights import read_weights, save_weights

NETWORK = (
    "r224,stem_k3_s2_c16_hs,ir_k3_s2_h64_c24_re,ir_k3_s1_h72_c24_re,ir_k5_s2_h96_c40_re_se24,"
    "ir_k3_s2_h120_c80_hs,ir_k3_s2_h184_c112_hs,head_c240_h160_hs,n10"
)
QUICK = (
    "--data=digits", "--image-size=8", "--subset=240", "--batch-size=32", "--tune-steps=4", "--seed-epochs=8",
    "--fine-tune-epochs=2", "--scratch-epochs=2", "--target=90%", "--reduction=0.04",
)  # fmt: skip


def invoke(*arguments: str, status: int = 0) -> Any:
    result = CliRunner().invoke(app.app, ["netadapt", *arguments], env={"COLUMNS": "100"})
    assert result.exit_code == status, result.output + str(result.exception)
    return result


def steps_of(folder: Path) -> list[dict[str, Any]]:
    if not (folder / "steps.jsonl").is_file():
        return []
    _, entries = read_log(KIND, folder / "steps.jsonl")
    return [{name: value for name, value in entry.document.items() if name != "seconds"} for entry in entries]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """One whole run, exported."""
    pytest.importorskip("ai_edge_litert")
    out = tmp_path_factory.mktemp("netadapt") / "run"
    result = invoke(NETWORK, *QUICK, f"--out={out}", "--compare=mobilenet_v3_small", "--json")
    return json.loads(result.stdout), out


def test_its_page_is_made_again(finished: tuple[dict[str, Any], Path], page_made_again) -> None:
    page_made_again(finished[1])


def test_the_run_folder_holds_what_was_found(finished: tuple[dict[str, Any], Path]) -> None:
    result, out = finished
    assert json.loads((out / "result.json").read_text()) == {k: v for k, v in result.items() if k != "folder"}
    assert result["high_ms"] <= result["target_ms"] < result["seed_latency_ms"]
    architecture = resolve_network(str(out))
    assert str(architecture) == result["architecture"]
    assert result["evaluated"] == {"network": result["runs_as"], "data": "digits", "part": "test"}
    saved, state, _ = read_weights(out / "weights.safetensors")
    assert saved == parse(result["runs_as"]) == RunForm(8, 3).of(architecture)
    build_network(architecture, seed=0).load_state_dict(state)
    rows = list(csv.DictReader((out / "steps.csv").open()))
    assert len(rows) == result["steps"] == len(steps_of(out))
    assert {"group", "before", "after", "cost", "accuracy_before", "accuracy"} <= set(rows[0])
    assert not (out / "state").exists()
    assert result["latency_table"]["sha256"] == load_device("pixel").sha256
    assert list((out / "tensorboard" / "slimming").glob("events.*"))
    assert "is used now" in str(reprice(out)) and not reprice(out).changed


def test_the_baselines_cost_no_more_and_are_judged_alike(finished: tuple[dict[str, Any], Path]) -> None:
    result, _ = finished
    assert [one["method"] for one in result["baselines"]] == ["uniform width", "magnitude", "random proposals"]
    assert all(one["latency"] <= result["latency_ms"] for one in result["baselines"][:2])
    kinds = {(one["method"], one["kind"]) for one in result["accuracy"]}
    assert {(m, k) for m in ("netadapt", "uniform width") for k in ("fine-tuned", "from scratch")} <= kinds
    assert len(result["verdict"]) == 6


def test_the_model_was_timed_beside_its_seed(finished: tuple[dict[str, Any], Path]) -> None:
    _, out = finished
    timing = json.loads((out / "export.json").read_text())
    assert timing["result"]["weights"] == "trained" and (out / "model.tflite").stat().st_size > 10_000
    result, _ = finished
    assert timing["result"]["resolution"] == result["image_size"] == 8 and result["cost_resolution"] == 224
    assert timing["check"]["images"] == 240 and timing["check"]["same_answer_pct"] > 99
    assert timing["seed_ms"] > 0 and 0 < timing["predicted_saving_pct"] < 50


def test_accuracy_and_cost_are_at_one_resolution_from_64_pixels_on() -> None:
    settings = SlimSettings(network=NETWORK, target="50%", data="digits", subset=100, image_size=96)
    seed = find_initial(settings)
    assert seed.architecture.resolution == seed.form.image_size == 96 and seed.form.dropped_strides == 0
    assert find_initial(replace(settings, image_size=None)).form == RunForm(8, 3)


def test_the_page_tells_what_happened(finished: tuple[dict[str, Any], Path]) -> None:
    result, out = finished
    page = (out / "report.html").read_text()
    for sentence in result["verdict"]:
        assert sentence.replace("'", "&#39;") in page
    for title in ("Side by side", "Channels before and after", "Steps", "Exported model"):
        assert title in page
    assert (out / "channels.png").stat().st_size > 5_000 and (out / "path.png").stat().st_size > 5_000


def test_a_killed_run_goes_on_to_the_same_result_even_on_ray(
    finished: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    """Killed after its first step, finished on Ray: the same as the unbroken run in this process."""
    pytest.importorskip("ray")
    _, out = finished
    again = tmp_path / "killed"
    command = [sys.executable, "-m", "nas.cli.app", "netadapt", NETWORK, *QUICK, f"--out={again}", "--no-export"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not steps_of(again) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert not (again / "result.json").exists()
    invoke(NETWORK, *QUICK, f"--out={again}", "--no-export", status=2)  # an unfinished run is not overwritten
    changed = invoke(NETWORK, *QUICK, "--seed=1", f"--out={again}", "--no-export", "--resume", status=2)
    assert "seed: 0 then, 1 now" in changed.output
    half = invoke(str(again), "--resume", "--target=90%", status=2)
    assert "--target: a run goes on with its own settings" in half.stderr
    noted = invoke("--resume", str(again), "--no-export", "--engine=ray")  # its own settings, none given again
    assert "dashboard" in noted.stderr
    whole = json.loads((out / "result.json").read_text())
    del whole["usage"], whole["compared_with"]  # of the exported file and the page, which this run leaves out
    assert json.loads((again / "result.json").read_text()) == whole
    assert steps_of(again) == steps_of(out)


def test_the_original_form_on_multiply_adds_by_taylor_terms(tmp_path: Path) -> None:
    out = tmp_path / "original"
    options = (
        "--form=original",
        "--resource=madds",
        "--criterion=taylor",
        "--no-baselines",
        "--no-export",
        "--seed-epochs=1",
    )
    result = json.loads(invoke(NETWORK, *QUICK, f"--out={out}", *options, "--json").stdout)
    assert result["madds"] <= result["target"] < result["seed_madds"]
    assert result["verdict"] == [] and "latency_ms" not in result
    asked = [step["asked"] for step in steps_of(out)]
    assert asked[0] == pytest.approx(0.04 * result["seed_madds"])
    assert all(later == pytest.approx(0.96 * sooner) for sooner, later in pairwise(asked))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target=500ms",), "not below the network's present latency"),
        (("--target=0.5ms",), "out of reach"),
        (("--target=51",), "has no unit: expected latency such as 51ms"),
        (("--target=fast",), "cannot read the target 'fast'"),
        (("--target=120%",), "must be above 0 and below"),
        (("--device=nokia3310",), "nokia3310"),
        (("--include=roof",), "unknown part 'roof'"),
        (("--criterion=l3",), "unknown criterion 'l3'"),
        (("--engine=spark",), "unknown engine 'spark'"),
        (("--fine-tune-epochs=0", "--scratch-epochs=0"), "no final training is left"),
        (("--smallest=4096",), "cannot shrink"),
        (("--seeds=0",), "--seeds is 0"),
        (("--weights=absent.safetensors",), "no such weights file"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(options: tuple[str, ...], message: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    found = invoke(NETWORK, *QUICK, f"--out={out}", *options, status=2)
    assert message in " ".join(found.output.split())
    assert not out.exists()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = build_network(parse(NETWORK.replace("c40", "c48")), seed=0)
    save_weights(other, tmp_path / "other.safetensors")
    found = invoke(
        NETWORK, *QUICK, f"--weights={tmp_path / 'other.safetensors'}", f"--out={tmp_path / 'run'}", status=2
    )
    assert "weights of another network" in " ".join(found.output.split())
    assert not (tmp_path / "run").exists()


def test_a_table_without_the_needed_operations_is_refused(tmp_path: Path) -> None:
    network = NETWORK.replace("r224", "r4096")
    found = invoke(network, *QUICK, f"--out={tmp_path / 'run'}", status=2)
    assert "outside the latency table" in " ".join(found.output.split())


@pytest.mark.parametrize(
    ("text", "resource", "value"),
    [("51ms", "latency", 51.0), ("0.051s", "latency", 51.0), ("75%", "latency", 60.0), ("200M", "madds", 2e8)],
)
def test_targets(text: str, resource: str, value: float) -> None:
    assert parse_target(text, ResourceName(resource), 80.0) == pytest.approx(value)


def test_papers_settings() -> None:
    given = {"network": "x", "target": "50%", "data": "digits"}
    own, original = SlimSettings(**given), SlimSettings(**given, form=Form.ORIGINAL)
    assert (own.schedule().reduction, own.schedule().decay) == (0.01, 1.0)
    assert (original.schedule().reduction, original.schedule().decay) == (0.025, 0.96)
    assert len(original.widths().parts) == 5 and len(own.widths().parts) == 2


def test_a_torn_last_line_of_the_history_is_dropped(finished: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    _, out = finished
    whole = (out / "steps.jsonl").read_text()
    (tmp_path / "steps.jsonl").write_text(whole + '{"step": 99, "gro')
    settings, _ = read_log(KIND, out / "steps.jsonl")
    assert len(Lineage(RunFolder(tmp_path, settings)).steps) == len(whole.splitlines()) - 1
    assert (tmp_path / "steps.jsonl").read_text() == whole
    (tmp_path / "steps.jsonl").write_text("{torn}\n" + whole)
    with pytest.raises(UserError, match="line 1: not valid JSON"):
        Lineage(RunFolder(tmp_path, settings))


def test_a_history_written_before_lines_were_numbered_is_read(tmp_path: Path) -> None:
    committed = Path(__file__).parents[2] / "runs/netadapt_cifar10"
    for name in ("steps.jsonl", "finals.jsonl"):
        (tmp_path / name).write_text((committed / name).read_text())
    steps = Lineage(RunFolder(tmp_path)).steps
    assert [step.step for step in steps] == list(range(1, len(steps) + 1))
    assert Lineage(RunFolder(tmp_path)).steps == steps
    assert len(Finals(RunFolder(tmp_path)).done) == len((committed / "finals.jsonl").read_text().splitlines())


def test_the_verdict_is_plain_about_a_loss() -> None:
    better = MethodScore("uniform width", "fine-tuned", (71.0, 72.0, 73.0))
    own = MethodScore("netadapt", "fine-tuned", (70.0, 71.0, 73.5))
    (sentence,) = verdict([own, better])
    assert sentence.startswith("Fine-tuned, NetAdapt did not beat uniform width: -0.50 points on average")
    assert sentence.endswith("over 3 repetitions, ahead in 1 of them.")
    (single,) = verdict([replace(own, top1=(72.0,)), replace(better, top1=(71.0,))])
    assert "beat uniform width: +1.00 points, one repetition each, so luck is not excluded" in single


def test_distillation_follows_the_seed_and_not_the_labels() -> None:
    settings = SlimSettings(
        network=NETWORK,
        target="50%",
        data="digits",
        image_size=8,
        subset=240,
        batch_size=32,
        tune_steps=20,
        distill=True,
    )
    architecture = parse(NETWORK)
    teacher = build_network(architecture, seed=1)
    teacher.head.classifier.bias.data[3] = 9.0  # answers 3 to everything
    tuner = Tuner(settings, run_form(architecture, 8), teacher=Teacher(architecture, state_of(teacher)))
    network = tuner.tuned(architecture, state_of(build_network(architecture, seed=2)), settings.tune_steps, seed=0)
    images = tuner.data().search.images_at(torch.arange(8))
    assert network.eval()(images).argmax(1).tolist() == [3] * 8


def test_pretrained_weights_are_for_mobilenet_v2_alone(shared_data: Path) -> None:
    given = {
        "target": "75%",
        "data": f"imagefolder:{shared_data / 'images' / 'imagenet_samples.zip'}",
        "weights": str(shared_data / "weights" / "mobilenet_v2_1.0_224_float.npz"),
        "image_size": 32,
        "subset": 8,
    }
    with pytest.raises(UserError, match="first layer that differs is stem "):
        find_initial(SlimSettings(network="mobilenet_v3_large", **given))
    seed = find_initial(SlimSettings(network="mobilenet_v2", **given))
    assert seed.preparation is not None and seed.preparation.mean == seed.preparation.std == (0.5,) * 3
    assert "classifier kept" in seed.weights and seed.architecture.classes == 999
