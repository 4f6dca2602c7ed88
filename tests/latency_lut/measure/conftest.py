"""A tiny network, and a phone: a daemon that speaks adb's protocol to the real adb program."""

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

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from latency_lut.measure.litert import convert
from latency_lut.measure.phone import Phone
from searchspace import Architecture, parse
from searchspace.modules import Network, build_network

sys.path.insert(0, str(Path(__file__).parent))
from adbd import Daemon, Faults

TINY = "r32,stem_k3_s2_c8_hs,ir_k3_s1_h16_c8_hs_se8,sg_k3_s1_h8_c8_re_id1/2,ir_k5_s2_h24_c16_re,head_c24_h32_hs,n10"


@pytest.fixture(scope="session")
def tiny() -> Architecture:
    """A network with every kind of op."""
    return parse(TINY)


@pytest.fixture(scope="session")
def network(tiny: Architecture) -> Network:
    """The network as a module, with outputs large enough to compare and biases that are not zero."""
    network = build_network(tiny, seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    torch.nn.init.normal_(network.head.classifier.weight, generator=generator)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    return network


@pytest.fixture(scope="session")
def images() -> NDArray[np.float32]:
    """Eight images for the network, (8, 3, 32, 32)."""
    return np.random.default_rng(0).uniform(-1, 1, (8, 3, 32, 32)).astype(np.float32)


@pytest.fixture(scope="session")
def converted(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network as a TFLite file."""
    return convert(network, (1, 3, 32, 32), tmp_path_factory.mktemp("models") / "tiny.tflite")


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
