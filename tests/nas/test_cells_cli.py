"""`nas cells`: a search and a training in their folders, continued after an end in the middle, and refusals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

NAS = [sys.executable, "-m", "nas"]
SEARCH = [
    "cells",
    "search",
    "--data",
    "digits",
    "--subset",
    "300",
    "--cells",
    "3",
    "--channels",
    "4",
    "--batch-size",
    "32",
]


def nas(*arguments, code=0):
    done = subprocess.run([*NAS, *map(str, arguments)], capture_output=True, text=True, timeout=280)
    assert done.returncode == code, done.stderr
    return done


def killed_once_saved(folder, *arguments):
    """Start a run and kill it as soon as its first checkpoint lies in the folder."""
    process = subprocess.Popen([*NAS, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / "checkpoint.pt").exists():
        assert process.poll() is None, "the run ended before its first checkpoint"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_killed_search_resumes_and_its_cells_are_trained(tmp_path, page_made_again):
    options = [*SEARCH, "--epochs", 2, "--checkpoint-seconds", 0, "--json"]
    whole = json.loads(nas(*options, "--out", tmp_path / "whole").stdout)
    killed = tmp_path / "killed"
    killed_once_saved(killed, *options, "--out", killed)
    assert not (killed / "result.json").exists()
    resumed = json.loads(nas("cells", "search", "--resume", killed, "--json").stdout)  # by its own settings
    assert resumed["network"] == whole["network"]
    assert resumed["supernet"] == whole["supernet"]

    quick = ["--cells", 3, "--channels", 4, "--epochs", 1, "--subset", 300, "--json"]
    trained = json.loads(
        nas("cells", "train", tmp_path / "whole", "--data", "digits", *quick, "--out", tmp_path / "t").stdout
    )
    assert trained["test"]["count"] > 0 and trained["params"] > 0
    (tmp_path / "t" / "result.json").unlink()
    assert "--epochs: a run goes on" in nas("cells", "train", "--resume", tmp_path / "t", "--epochs", 1, code=2).stderr
    again = json.loads(nas("cells", "train", "--resume", tmp_path / "t", "--json").stdout)
    assert again["test"] == trained["test"]
    for name in ("report.html", "cells.png", "result.json"):
        assert (tmp_path / "whole" / name).stat().st_size > 0
        assert (tmp_path / "t" / name).stat().st_size > 0
    for run in (tmp_path / "whole", killed, tmp_path / "t"):
        page_made_again(run)


def test_show_counts_the_published_cells(tmp_path):
    shown = json.loads(nas("cells", "show", "darts_v1", "--picture", tmp_path / "v1.png", "--json").stdout)
    assert shown["params"] == 3_169_414
    assert (tmp_path / "v1.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cells", "show", "darts_v9"], "darts_v2"),
        ([*SEARCH, "--space", "nasnet"], "darts+sandglass"),
        ([*SEARCH, "--order", "third"], "first or second"),
        ([*SEARCH, "--partial", "3"], "divisor"),
    ],
)
def test_mistakes_are_refused_by_name(arguments, words):
    assert words in nas(*arguments, code=2).stderr.replace("\n", " ")
