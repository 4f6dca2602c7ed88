"""The command line as a user meets it: answers, JSON, refusals, exit statuses and speed."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli import _registry, app
from nas.cli._errors import reported_errors
from nas.cli._registry import COMMANDS, CommandEntry
from searchspace import reference, save_architecture
from searchspace.support.errors import UserError

NAS = [sys.executable, "-m", "nas.cli.app"]


def invoke(*arguments: str, status: int = 0):
    result = CliRunner().invoke(app.app, list(arguments), env={"COLUMNS": "100"})
    assert result.exit_code == status, result.output + str(result.exception)
    return result


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(NAS + list(arguments), capture_output=True, text=True, cwd=cwd, env=environment, timeout=60)


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: f"{entry.group} {entry.name}".strip())
def test_every_command_teaches_itself(entry: CommandEntry) -> None:
    text = invoke(*filter(None, (entry.group, entry.name)), "--help").output
    assert "--json" in text
    assert "Example" in text
    assert entry.summary in " ".join(text.split())
    assert entry.summary in " ".join(re.sub("[│─╭╮╰╯]", "", invoke(*entry.group.split(), "--help").output).split())


def test_help_imports_no_command(tmp_path: Path) -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from nas.cli.app import app\n"
        "result = CliRunner().invoke(app, ['--help']); assert 'search' in result.output\n"
        "heavy = ('numpy', 'torch', 'matplotlib', 'yaml', 'searchspace')\n"
        "loaded = [name for name in sys.modules if name.split('.')[0] in heavy]\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_show_json_has_published_counts() -> None:
    document = json.loads(invoke("show", "mobilenet_v3_large", "--json").stdout)
    assert document["params"] == 5_483_032
    assert document["madds"] == sum(layer["madds"] for layer in document["layers"])
    assert document["architecture"] == str(reference("mobilenet_v3_large"))
    expected = ["stem", *(f"block{number}" for number in range(1, 16)), "head"]
    assert [layer["layer"] for layer in document["layers"]] == expected


def test_show_takes_name_file_folder_and_text(tmp_path: Path) -> None:
    network = reference("mobilenet_v2_0.75@160")
    save_architecture(network, tmp_path / "architecture.yaml")
    spellings = ("mobilenet_v2_0.75@160", str(tmp_path / "architecture.yaml"), str(tmp_path), str(network))
    found = {json.loads(invoke("show", spelling, "--json").stdout)["architecture"] for spelling in spellings}
    assert found == {str(network)}


def test_show_fits_a_narrow_terminal() -> None:
    table = CliRunner().invoke(app.app, ["show", "mobilenet_v3_large"], env={"COLUMNS": "80"}).stdout
    assert "5,483,032" in table
    assert "…" not in table, "a column was cut"


def test_show_is_quick() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run("show", "mobilenet_v3_large").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time, since other work on the machine must not fail this test.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_latency_of_one_network() -> None:
    document = json.loads(invoke("latency", "mobilenet_v3_large", "--device", "pixel", "--json").stdout)
    assert document["low_ms"] < document["latency_ms"] < document["high_ms"]
    assert document["extrapolated"] is False
    parts = sum(layer["latency_ms"] for layer in document["layers"]) + document["overhead_ms"]
    assert parts == pytest.approx(document["latency_ms"])


def test_latency_of_several_networks_side_by_side() -> None:
    names = ["mobilenet_v2", "mobilenet_v3_large", "mnasnet_a1"]
    document = json.loads(invoke("latency", *names, "--device", "pixel", "--json").stdout)
    assert [network["network"] for network in document["networks"]] == names
    shown = invoke("latency", *names, "--device", "pixel").stdout
    assert all(f"{network['latency_ms']:.2f}" in shown for network in document["networks"])


def test_latency_adds_up_in_the_table() -> None:
    shown = invoke("latency", "mobilenet_v3_small", "--device", "pixel").stdout
    rows = [line.split() for line in shown.splitlines() if line.startswith(("stem", "block", "head", "network"))]
    total = next(float(line.split()[1]) for line in shown.splitlines() if line.startswith("total"))
    numbers = [next(float(word) for word in row[1:] if word.replace(".", "").isdigit() and "." in word) for row in rows]
    assert sum(numbers) == pytest.approx(total, abs=0.005 * len(numbers))


def test_spaces_and_devices_as_json() -> None:
    spaces = json.loads(invoke("spaces", "--json").stdout)["spaces"]
    assert {"mobilenetv3", "mobilenext", "mobile"} <= {space["name"] for space in spaces}
    one = json.loads(invoke("spaces", "mobilenetv3", "--json").stdout)
    assert one["networks"] == next(space["networks"] for space in spaces if space["name"] == "mobilenetv3")
    devices = json.loads(invoke("devices", "--json").stdout)["devices"]
    pixel = next(device for device in devices if device["name"] == "pixel1")
    assert pixel["method"] == "calibrated"
    assert pixel["left_out_error_pct"] > 0


def test_a_damaged_table_is_listed_beside_the_good_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "broken.csv").write_text("not a table")
    devices = {one["name"]: one for one in json.loads(invoke("devices", "--json").stdout)["devices"]}
    assert "error" in devices["broken"]
    assert "error" not in devices["pixel1"]
    assert "broken" in invoke("devices").stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("show", "mobilenet_v9"), "mobilenet_v2"),
        (("show", "no/such/folder"), "no/such/folder"),
        (("show", "r224,stem_k3_s2_c16_hs,xx_k3,head_hs,n10"), "xx_k3"),
        (("latency", "mobilenet_v2", "--device", "pixle"), "pixel"),
        (("latency", "mobilenet_v2", "mobilenet_v9", "--device", "pixel"), "mobilenet_v9"),
        (("spaces", "mobilenet"), "mobilenetv3"),
    ],
)
def test_mistakes_name_what_was_given_or_expected(arguments: tuple[str, ...], expected: str) -> None:
    result = invoke(*arguments, status=2)
    assert expected in result.stderr
    assert result.stdout == ""
    assert isinstance(result.exception, SystemExit), "no traceback for a user's mistake"


@pytest.mark.parametrize(
    "content",
    ["", "[1, 2", "a: !!python/object/apply:os.system [id]", "format: architecture/1\nblocks: 3\n", "a: &x [*x]", "\0"],
)
def test_hostile_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "network.yaml"
    path.write_text(content)
    assert str(path) in invoke("show", str(path), status=2).stderr


def test_unknown_command_suggests_the_nearest() -> None:
    assert "search" in invoke("serach", status=2).stderr


def test_version() -> None:
    assert invoke("--version").stdout.startswith("nas ")


def test_a_pipe_that_closes_early_is_no_error() -> None:
    command = f"{sys.executable} -m nas.cli.app show mobilenet_v3_large --json | head -1"
    done = subprocess.run(
        command, shell=True, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "{"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UserError("no such thing"), 2, "no such thing"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/a/front.csv"), 1, "disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/root/x"), 1, "/root/x"),
        (OSError(errno.EROFS, "Read-only file system", "/sys/x"), 1, "read-only"),
        (KeyboardInterrupt("Go on with: nas search --resume"), 130, "nas search --resume"),
    ],
)
def test_each_failure_has_its_status_and_message(
    error: BaseException, status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exception) as raised, reported_errors():
        raise error
    assert raised.value.exit_code == status
    assert message in capsys.readouterr().err


def test_registry_has_each_command_once() -> None:
    places = [(entry.group, entry.name) for entry in COMMANDS]
    assert len(set(places)) == len(places)
    assert {group for group, _ in places} - {""} == set(_registry.GROUPS)


def test_text_that_is_not_ours_is_never_markup() -> None:
    from rich.table import Table

    from nas.cli._common import output_console

    console = output_console()
    table = Table("[b]name[/b]")
    table.add_row("Chip [/rev 2]")
    with console.capture() as captured:
        console.print("[proj]/t.csv")
        console.print(table)
    assert "[proj]/t.csv" in captured.get() and "[/rev 2]" in captured.get() and "[b]name" in captured.get()
