"""A wheel installed elsewhere, without the repository, runs the main job."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_wheel_elsewhere_runs_the_main_job(tmp_path):
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(pip, check=True, timeout=200)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    names = {path.relative_to(site).as_posix() for path in site.rglob("*")}
    assert {f"{package}/py.typed" for package in ("searchspace", "latency_lut", "netadapt", "nas")} <= names
    assert {"LICENSE", "NOTICE"} <= {Path(name).name for name in names}
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{sysconfig.get_paths()['purelib']}", "NAS_HOME": "x"}
    done = subprocess.run(
        [sys.executable, "-m", "nas", "search", "--budget", "60ms", "--device", "pixel", "--evaluations", "500",
         "--out", "run"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {"result.json", "report.html", "front.png", "model.tflite"} <= {
        path.name for path in (tmp_path / "run").iterdir()
    }
