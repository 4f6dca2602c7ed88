"""This machine as a device: LiteRT with XNNPACK in this process, pinned to chosen cores."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

from latency_lut.measure.backend import Conditions, DeviceFacts, build_model
from latency_lut.measure.litert import Timing, benchmark
from latency_lut.provenance import Precision
from latency_lut.tflite.runtime import delegated_partitions, load, runtime_version
from searchspace.ops import Op, OpKind
from searchspace.support.errors import UserError

_CPU = Path("/sys/devices/system/cpu")
_THERMAL = Path("/sys/class/thermal")


class Host:
    """Times models in this process. Use it as a context manager: it pins the process and undoes that at the end."""

    batch_size = 16
    seconds_per_op = 0.13

    def __init__(self, threads: int = 1, cores: Sequence[int] | None = None) -> None:
        """Use `threads` threads on `cores`, by default the last ones this process may use.

        Raises UserError for more threads than cores or for cores that this process may not use.
        """
        allowed = sorted(os.sched_getaffinity(0))
        chosen = sorted(set(cores)) if cores is not None else allowed[-threads:]
        if not set(chosen) <= set(allowed):
            raise UserError(f"cores {_core_list(chosen)} were asked for, this process may use {_core_list(allowed)}")
        if not 1 <= threads <= len(chosen):
            raise UserError(f"{threads} threads were asked for on {len(chosen)} cores; give from 1 to {len(chosen)}")
        self.threads, self.cores, self._allowed = threads, chosen, allowed

    def __enter__(self) -> Host:
        check_xnnpack(build_model(Op(OpKind.CONV, 7, 8, 8), Precision.FLOAT32)[0])
        os.sched_setaffinity(0, self.cores)
        return self

    def __exit__(self, *_: object) -> None:
        os.sched_setaffinity(0, self._allowed)

    def facts(self) -> DeviceFacts:
        """Identify processor and runtime."""
        return DeviceFacts(
            device="host",
            soc=_processor(),
            runtime="LiteRT, XNNPACK",
            runtime_build=runtime_version(),
            cores=_core_list(self.cores),
            threads=self.threads,
        )

    def conditions(self) -> Conditions:
        """Read what the kernel tells of frequency and temperature."""
        frequency = _CPU / f"cpu{self.cores[0]}" / "cpufreq"
        khz = _read(frequency / "scaling_cur_freq")
        temperatures = [_read(zone / "temp") for zone in sorted(_THERMAL.glob("thermal_zone*"))]
        return Conditions(
            governor=_read(frequency / "scaling_governor"),
            frequency_mhz=float(khz) / 1000 if khz else None,
            temperature_c=max((float(value) / 1000 for value in temperatures if value), default=None),
            extra={"load": f"{os.getloadavg()[0]:.2f}"},
        )

    def time(self, models: Sequence[bytes]) -> list[Timing]:
        """Time models one after another."""
        return [benchmark(model, self.threads, warmup_s=0.02, min_runs=15, max_s=0.3) for model in models]

    def cool_down(self, attempt: int) -> None:
        """Give whatever else runs here a moment to finish."""
        time.sleep(0.5 * attempt)


def check_xnnpack(model: bytes) -> None:
    """Raise UserError unless LiteRT hands a float model to XNNPACK on this machine."""
    if not delegated_partitions(load(model)):
        raise UserError("LiteRT runs without XNNPACK here, so its times would say nothing about phones")


def _processor() -> str:
    for line in (_read(Path("/proc/cpuinfo")) or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return f"{value.strip()} ({platform.machine()})"
    return platform.machine() or "unknown"


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None


def _core_list(cores: Sequence[int]) -> str:
    return ",".join(map(str, cores))
