"""Run folders: never overwritten, never half-written looking whole."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from nas.cli.app import app
from nas.runs import RunFolder, RunPlace, holder_of, run_place, versions
from searchspace.support.errors import UserError

SETTINGS = {"budget_ms": 60.0, "device": "pixel", "seed": 0}


def test_settings_record_versions(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "a", SETTINGS)
    written = yaml.safe_load(folder.file("settings.yaml").read_text())
    assert written["seed"] == 0
    assert {"nas", "python", "numpy"} <= set(written["versions"])


def test_a_folder_with_anything_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        RunFolder.create(tmp_path, SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_refusal_tells_finished_from_unfinished(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "a", SETTINGS)
    with pytest.raises(UserError, match="--resume"):
        RunFolder.create(tmp_path / "a", SETTINGS)
    folder.finish({"top1": 76.0})
    with pytest.raises(UserError, match="finished run"):
        RunFolder.create(tmp_path / "a", SETTINGS)


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(UserError, match="is a file"):
        RunFolder.create(tmp_path / "a", SETTINGS)


def test_resume_needs_the_same_settings(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "a", SETTINGS)
    assert RunFolder.reopen(tmp_path / "a", SETTINGS).path == tmp_path / "a"
    with pytest.raises(UserError, match="seed: 0 then, 1 now"):
        RunFolder.reopen(tmp_path / "a", {**SETTINGS, "seed": 1})


def test_resume_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run to resume"):
        RunFolder.reopen(tmp_path, SETTINGS)


def test_a_folder_is_whole_only_with_its_result(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "a", SETTINGS)
    assert not folder.is_complete
    with pytest.raises(UserError, match="not finished"):
        folder.result()
    folder.finish({"top1": 76.0})
    assert folder.is_complete
    assert folder.result() == {"top1": 76.0}


@pytest.mark.parametrize("content", ["", '{"top1": 7', "[1]"])
def test_a_damaged_result_is_refused(tmp_path: Path, content: str) -> None:
    folder = RunFolder.create(tmp_path / "a", SETTINGS)
    folder.file("result.json").write_text(content)
    with pytest.raises(UserError, match=r"result\.json"):
        folder.result()


def test_a_failed_write_names_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a")
    (tmp_path / "a").write_text("in the way")
    with pytest.raises(OSError, match=r"a/front\.csv"):
        folder.write("front.csv", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_results_hold_no_infinities(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "a", SETTINGS)
    with pytest.raises(ValueError, match="JSON"):
        folder.write_json("result.json", {"latency_ms": float("inf")})
    assert not folder.is_complete
    folder.write_json("export.json", {"host_latency_ms": 1.5})
    assert json.loads(folder.file("export.json").read_text()) == {"host_latency_ms": 1.5}


def test_names_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    unnamed = {"out": None, "name": None, "default": "pixel-60ms"}
    assert RunFolder.create(run_place(**unnamed, resume=False), SETTINGS).path == Path("runs/pixel-60ms")
    assert RunFolder.create(run_place(**unnamed, resume=False), SETTINGS).path == Path("runs/pixel-60ms-2")
    assert run_place(**unnamed, resume=True).path == Path("runs/pixel-60ms-2")
    assert run_place(out="x/y", name=None, default="d", resume=False) == RunPlace(Path("x/y"))
    assert run_place(out=None, name="mine", default="d", resume=False) == RunPlace(Path("runs/mine"))


def test_a_name_looked_for_at_the_same_moment_is_taken_once(tmp_path: Path) -> None:
    place = RunPlace(tmp_path / "runs/pixel-60ms", numbered=True)
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda _: place.claimed(), range(24)))
    assert len(set(claimed)) == 24


def test_a_second_process_is_refused_and_told_who_works_on_the_run(tmp_path: Path) -> None:
    hold = "import sys, time; from nas.runs import RunFolder; "
    hold += f"RunFolder.create({str(tmp_path / 'a')!r}, {SETTINGS!r}); print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    assert str(holder_of(tmp_path / "a")).startswith(f"process {holder.pid} on ")
    with pytest.raises(UserError, match=rf"worked on by process {holder.pid} on .* since 20"):
        RunFolder.reopen(tmp_path / "a", SETTINGS)
    holder.kill()
    holder.wait()
    assert holder_of(tmp_path / "a") is None
    RunFolder.reopen(tmp_path / "a", SETTINGS)


def test_resuming_with_other_versions_is_noted_once(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "a", SETTINGS, "search")
    document = yaml.safe_load(folder.file("settings.yaml").read_text())
    document["versions"]["code"] = "0" * 12
    folder.file("settings.yaml").write_text(yaml.safe_dump(document))
    (note,) = RunFolder.reopen(tmp_path / "a", SETTINGS).changed_versions
    assert note == f"code: {'0' * 12} then, {versions()['code']} now"
    assert RunFolder.reopen(tmp_path / "a", SETTINGS).changed_versions == ()
    assert RunFolder(tmp_path / "a").started_with() == (SETTINGS, {"job": "search"})


@pytest.mark.parametrize("name", ["", ".", "..", "../other", "a/b"])
def test_a_name_is_one_folder_below_runs(name: str) -> None:
    with pytest.raises(UserError, match="--name"):
        run_place(out=None, name=name, default="d", resume=False)


def test_runs_are_listed_with_state_and_result_and_removed_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    RunFolder.create("runs/found", SETTINGS, "search").finish({"top1": 76.1, "latency_ms": 55.0})
    trained = RunFolder.create("runs/trained", SETTINGS, "train")
    trained.finish({"test": {"top1": 71.5}, "search": {"top1": 80.0}})
    RunFolder.create("runs/half [b]", SETTINGS, "search").close()
    RunFolder.create("runs/damaged", SETTINGS, "search").write("result.json", "{")
    Path("runs/notes").mkdir()

    def invoke(*arguments: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(app, ["runs", *arguments], input=answer)

    listed = {one["path"]: one for one in json.loads(invoke("--json").stdout)["runs"]}
    assert set(listed) == {"runs/found", "runs/trained", "runs/half [b]", "runs/damaged"}
    assert (listed["runs/found"]["state"], listed["runs/found"]["top1"]) == ("finished", 76.1)
    assert (listed["runs/trained"]["job"], listed["runs/trained"]["top1"]) == ("train", 71.5)
    assert listed["runs/half [b]"]["state"] == "interrupted"
    assert "not valid JSON" in listed["runs/damaged"]["problem"]
    assert "half [b]" in invoke().stdout
    assert invoke("rm", "found").exit_code == 2 and Path("runs/found").exists()
    assert invoke("rm", "notes", "--yes").exit_code == 2 and Path("runs/notes").exists()
    assert invoke("rm", "found", "runs/half [b]", "--yes").exit_code == 0
    assert {path.name for path in Path("runs").iterdir()} == {"trained", "damaged", "notes"}
