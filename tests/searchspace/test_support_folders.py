"""One data folder and one cache, where the XDG base directory specification puts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from latency_lut.devices import former_tables, load_device, user_folder
from searchspace.support.errors import Note
from searchspace.support.folders import cache_folder, data_folder

VARIABLES = ("NAS_HOME", "NAS_CACHE", "XDG_DATA_HOME", "XDG_CACHE_HOME")
SHIPPED = Path(load_device.__code__.co_filename).parent / "data" / "pixel1.csv"


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_without_variables_both_are_below_the_home_folder(home):
    assert data_folder() == home / ".local/share/phone-nas"
    assert cache_folder() == home / ".cache/phone-nas"


@pytest.mark.parametrize("value", ["", "relative/folder"])
def test_an_empty_or_relative_xdg_variable_counts_as_not_set(home, monkeypatch, value):
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("XDG_DATA_HOME", value)
    assert cache_folder() == home / ".cache/phone-nas"
    assert data_folder() == home / ".local/share/phone-nas"


def test_the_projects_own_variables_go_first(home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/x/cache")
    monkeypatch.setenv("XDG_DATA_HOME", "/x/data")
    assert (data_folder(), cache_folder()) == (Path("/x/data/phone-nas"), Path("/x/cache/phone-nas"))
    monkeypatch.setenv("NAS_HOME", "/own/data")
    monkeypatch.setenv("NAS_CACHE", "/own/cache")
    assert (data_folder(), cache_folder()) == (Path("/own/data"), Path("/own/cache"))


def test_measured_tables_are_not_among_caches_and_those_in_the_old_place_are_read_with_a_note(home):
    assert ".cache" not in user_folder().parts
    old = home / ".cache/nas/tables/mine.csv"
    old.parent.mkdir(parents=True)
    old.write_bytes(SHIPPED.read_bytes())
    assert former_tables() == (old,)
    with pytest.warns(Note, match="move it to"):
        assert len(load_device("mine")) > 1000
    user_folder().mkdir(parents=True)
    (user_folder() / "mine.csv").write_bytes(SHIPPED.read_bytes())
    assert former_tables() == ()


def test_a_user_without_home_can_list_devices(tmp_path):
    """No HOME and no entry in the user database, as in many containers."""
    environment = {key: value for key, value in os.environ.items() if key not in ("HOME", *VARIABLES)}
    program = "import pwd; pwd.getpwuid = {}.__getitem__; from nas.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "devices", "--json"],
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(tmp_path)},
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"pixel1"' in done.stdout
    assert not list(tmp_path.iterdir())
