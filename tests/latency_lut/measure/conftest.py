"""A phone: a daemon that speaks adb's protocol to the real adb program."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from latency_lut.measure.phone import Phone

sys.path.insert(0, str(Path(__file__).parent))
from adbd import Daemon, Faults


@pytest.fixture(scope="session")
def adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A private adb server; yields the adb program. Skips where adb is not installed."""
    program = shutil.which("adb")
    if program is None:
        pytest.skip("needs the adb program (Debian: apt-get install adb)")
    with socket.create_server(("127.0.0.1", 0)) as free, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(free.getsockname()[1]))
        patch.setenv("HOME", str(tmp_path_factory.mktemp("adb_home")))
        free.close()
        yield program
        subprocess.run([program, "kill-server"], check=False, capture_output=True, timeout=30)


@dataclass
class TestPhone:
    """The daemon, and the file that stands in for the phone's benchmark_model."""

    daemon: Daemon
    benchmark_model: Path
    adb: str

    __test__ = False

    @property
    def faults(self) -> Faults:
        return self.daemon.faults

    @property
    def device(self) -> str:
        return f"adb:{self.daemon.serial}"

    def connect(self) -> None:
        # adb waits ten seconds for a silent phone; its server keeps on trying.
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run([self.adb, "connect", self.daemon.serial], check=False, capture_output=True, timeout=3)


@pytest.fixture
def plug_in(adb_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., TestPhone]]:
    """Make phones with given faults; they are unplugged at the end. A busy test machine is no reason for a pause."""
    monkeypatch.setattr(Phone, "cool_down", lambda phone, attempt: None)
    phones: list[TestPhone] = []

    def plug(**faults: bool) -> TestPhone:
        root = tmp_path / f"phone{len(phones)}"
        _furnish(root)
        stand_in = root / "stand_in"
        script = Path(__file__).with_name("benchmark_model.py")
        stand_in.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
        phones.append(TestPhone(Daemon(root, Faults(**faults)), stand_in, adb_server))
        phones[-1].connect()
        return phones[-1]

    yield plug
    for phone in phones:
        subprocess.run([adb_server, "disconnect", phone.daemon.serial], check=False, capture_output=True, timeout=30)
        phone.daemon.close()


def _furnish(root: Path) -> None:
    """Give the phone the files of its kernel and a `getprop`."""
    for core in sorted(os.sched_getaffinity(0)):
        frequency = root / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        frequency.mkdir(parents=True)
        (frequency / "cpuinfo_max_freq").write_text(f"{1_800_000 + 100_000 * core}\n")
        (frequency / "scaling_governor").write_text("schedutil\n")
        (frequency / "scaling_cur_freq").write_text("1800000\n")
    zone = root / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("cpu-1-0-usr\n")
    (zone / "temp").write_text("41500\n")
    (root / "data/local/tmp").mkdir(parents=True)
    (root / "bin").mkdir()
    getprop = root / "bin/getprop"
    getprop.write_text(
        "#!/bin/sh\ncase $1 in\n"
        "ro.product.manufacturer) echo Maker;;\nro.product.model) echo Test Phone;;\n"
        "ro.soc.model) echo SM0000;;\nro.build.version.release) echo 14;;\nesac\n"
    )
    getprop.chmod(0o755)
