"""A phone as a device: TFLite's stock `benchmark_model` binary, run through adb, pinned to the big cores.

Every model is one file, pushed under the hash of its content, timed by a run of its own. Times are read from the
profile that benchmark_model writes as a protocol buffer (`--op_profiling_output_mode=proto`, builds from 2024 on): the
sum over the nodes of the graph, of which XNNPACK's delegate is one. On its standard output nothing is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import shlex
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from latency_lut.measure.adb import Adb, PhoneError
from latency_lut.measure.backend import Conditions, DeviceFacts
from latency_lut.measure.litert import Timing
from searchspace.support.errors import UserError
from searchspace.support.optional import missing_package

_FOLDER = "/data/local/tmp/phone-nas"
_BINARY = f"{_FOLDER}/benchmark_model"
_ON_PHONE = "phone:"
_CPU = "/sys/devices/system/cpu"
_WARMING_C = 8.0  # how much warmer than at the start a phone may become before it is left to cool
_LONGEST_RUN_S = 2.0
_SLACK_S = 10.0


class Phone:
    """Times models on a phone; made by `open_phone`."""

    batch_size = 16
    seconds_per_op = 0.4  # warm-up, runs, start of the program, transfer

    def __init__(
        self, adb: Adb, binary: str, threads: int, cores: Sequence[int], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.adb, self.binary, self.threads, self.cores = adb, binary, threads, list(cores)
        self._sleep = sleep
        self._pushed: set[str] = set()
        self._start_c = self.conditions().temperature_c

    def facts(self) -> DeviceFacts:
        """Identify model, chip and the hash of benchmark_model."""
        maker, model = self._property("ro.product.manufacturer"), self._property("ro.product.model")
        chip = self._property("ro.soc.model") or self._property("ro.board.platform") or self._property("ro.hardware")
        release = self._property("ro.build.version.release") or "?"
        digest = self.adb.shell("sha256sum", self.binary).split()[0]
        return DeviceFacts(
            device=" ".join(filter(None, (maker, model))) or self.adb.serial,
            soc=chip or "unknown",
            runtime=f"TFLite benchmark_model, XNNPACK, Android {release}",
            runtime_build=f"sha256:{digest}",
            cores=",".join(map(str, self.cores)),
            threads=self.threads,
        )

    def conditions(self) -> Conditions:
        """Read governor, frequency and the hottest processor sensor."""
        frequency = f"{_CPU}/cpu{self.cores[0]}/cpufreq"
        khz = self.adb.read(f"{frequency}/scaling_cur_freq")
        return Conditions(
            governor=self.adb.read(f"{frequency}/scaling_governor"),
            frequency_mhz=float(khz) / 1000 if khz and khz.isdigit() else None,
            temperature_c=_hottest_c(self.adb),
        )

    def time(self, models: Sequence[bytes]) -> list[Timing]:
        """Push and time models; raises DeviceLost when the phone goes away, PhoneError when benchmark_model fails."""
        self._wait_until_cool()
        timings = self._timed(models, _LONGEST_RUN_S, {})
        names = [_file_name(model) for model in models]
        self._drop_models(keep={name for name, count in Counter(names).items() if count > 1})
        return timings

    def stretch(self, model: bytes, seconds: float) -> Timing:
        """Run a model for that long without a pause, however warm the phone is; raises as `time` does.

        The model stays on the phone, for the next stretch.
        """
        runs = {"warmup_runs": 0, "warmup_min_secs": 0, "num_runs": 1, "min_secs": seconds, "max_secs": seconds}
        (timing,) = self._timed([model], seconds, runs)
        return timing

    def _timed(self, models: Sequence[bytes], longest_s: float, flags: Mapping[str, float]) -> list[Timing]:
        names = [_file_name(model) for model in models]
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder)
            self._push_models(local, dict(zip(names, models, strict=True)))
            (local / "run.sh").write_text(self._script(names, flags))
            self.adb.push([local / "run.sh"], _FOLDER)
            self.adb.script(f"{_FOLDER}/run.sh", timeout_s=len(models) * (2 * longest_s + _SLACK_S))
            self.adb.pull(f"{_FOLDER}/out", local)
            return [read_profile(local / "out" / f"{number}.pb") for number in range(len(names))]

    def cool_down(self, attempt: int) -> None:
        """Wait, longer with each attempt, and then until the phone is as cool as at the start, for five minutes."""
        self._sleep(5.0 * attempt)
        self._wait_until_cool()

    def clean(self) -> None:
        """Remove what was pushed, the binary excepted; does nothing when the phone has gone."""
        with contextlib.suppress(OSError):
            self.adb.shell("rm", "-rf", f"{_FOLDER}/out", f"{_FOLDER}/models", f"{_FOLDER}/run.sh")

    def _property(self, name: str) -> str:
        return self.adb.shell("getprop", name).strip()

    def _push_models(self, local: Path, models: dict[str, bytes]) -> None:
        new = {name: content for name, content in models.items() if name not in self._pushed}
        for name, content in new.items():
            (local / name).write_bytes(content)
        self.adb.shell("mkdir", "-p", f"{_FOLDER}/models")
        if new:
            self.adb.push([local / name for name in new], f"{_FOLDER}/models")
            self._pushed |= new.keys()

    def _drop_models(self, keep: Set[str]) -> None:
        """Delete timed models from the phone, all but the references, which every batch times twice."""
        dropped = sorted(self._pushed - keep)
        if dropped:
            self.adb.shell("rm", "-f", *(f"{_FOLDER}/models/{name}" for name in dropped))
        self._pushed &= keep

    def _script(self, names: Sequence[str], changed: Mapping[str, float]) -> str:
        """Return the script that times each model into out/NUMBER.pb and stops at the first that fails."""
        mask = f"{sum(1 << core for core in self.cores):x}"
        lines = [f"cd {shlex.quote(_FOLDER)} || exit 1", "rm -rf out && mkdir out || exit 1"]
        for number, name in enumerate(names):
            flags = {
                "graph": f"models/{name}",
                "num_threads": self.threads,
                "use_xnnpack": "true",
                "warmup_runs": 1,
                "warmup_min_secs": 0.05,
                "num_runs": 20,
                "min_secs": 0.2,
                "max_secs": _LONGEST_RUN_S,
                "enable_op_profiling": "true",
                "op_profiling_output_mode": "proto",
                "op_profiling_output_file": f"out/{number}.pb",
                **changed,
            }
            options = " ".join(f"--{flag}={value}" for flag, value in flags.items())
            run = f"taskset {mask} {shlex.quote(self.binary)} {options} > out/{number}.log 2>&1"
            lines.append(f"{run} || {{ tail -n 1 out/{number}.log; exit 1; }}")
        return "\n".join(lines) + "\n"

    def _wait_until_cool(self) -> None:
        for _ in range(60):
            now_c = self.conditions().temperature_c
            if now_c is None or self._start_c is None or now_c <= self._start_c + _WARMING_C:
                return
            self._sleep(5.0)


def _file_name(model: bytes) -> str:
    return f"{hashlib.sha256(model).hexdigest()[:24]}.tflite"


@contextlib.contextmanager
def open_phone(
    serial: str | None, adb: str, benchmark_model: str | None, threads: int, cores: Sequence[int] | None
) -> Iterator[Phone]:
    """Yield the phone ready to measure: binary in place and executable, cores chosen; cleans up at the end.

    `benchmark_model` is a file on this machine, or `phone:PATH` on the phone. Raises UserError when it is missing
    or the cores do not exist.
    """
    if benchmark_model is None:
        raise UserError(
            "a phone is measured with TFLite's benchmark_model: give its path with --benchmark-model, here or as "
            "phone:PATH (docs/measuring.md says where to get it)"
        )
    connection = Adb(adb, serial)
    phone = Phone(connection, _placed(connection, benchmark_model), threads, _chosen_cores(connection, threads, cores))
    try:
        yield phone
    finally:
        phone.clean()


def _placed(adb: Adb, benchmark_model: str) -> str:
    """Make sure that the binary is on the phone and may run; return its path there."""
    if benchmark_model.startswith(_ON_PHONE):
        path = benchmark_model.removeprefix(_ON_PHONE)
        try:
            adb.shell("test", "-x", path)
        except PhoneError:
            raise UserError(f"there is no program {path} on the phone {adb.serial}") from None
        return path
    local = Path(benchmark_model)
    if not local.is_file():
        raise UserError(f"no such file: {benchmark_model} (--benchmark-model)")
    adb.shell("mkdir", "-p", _FOLDER)
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / "benchmark_model"
        named.symlink_to(local.resolve())
        adb.push([named], _FOLDER)
    adb.shell("chmod", "755", _BINARY)
    return _BINARY


def _chosen_cores(adb: Adb, threads: int, cores: Sequence[int] | None) -> list[int]:
    """Return the cores asked for, or as many of the fastest as there are threads, the last ones first."""
    fastest = _fastest_khz(adb)
    if cores is not None:
        unknown = sorted(set(cores) - fastest.keys())
        if unknown or len(set(cores)) < threads:
            raise UserError(f"cores {list(cores)} do not serve {threads} threads; the phone has {sorted(fastest)}")
        return sorted(set(cores))
    if threads > len(fastest):
        raise UserError(f"{threads} threads were asked for, the phone has {len(fastest)} cores")
    return sorted(sorted(fastest, key=lambda core: (fastest[core], core))[-threads:])


def _fastest_khz(adb: Adb) -> dict[int, int]:
    """Return the highest frequency of each core in kHz, 0 where the phone does not tell."""
    script = f"for c in {_CPU}/cpu[0-9]*; do echo ${{c##*/cpu}} $(cat $c/cpufreq/cpuinfo_max_freq 2>/dev/null); done"
    rows = [line.split() for line in adb.shell("sh", "-c", script).splitlines()]
    known = {
        int(row[0]): int(row[1]) if len(row) > 1 and row[1].isdigit() else 0 for row in rows if row and row[0].isdigit()
    }
    if not known:
        raise PhoneError(f"the phone {adb.serial} does not list its cores under {_CPU}")
    return known


def _hottest_c(adb: Adb) -> float | None:
    """Return the highest temperature of the sensors named after the processor, None where none can be read."""
    script = "for z in /sys/class/thermal/thermal_zone*; do echo $(cat $z/type) $(cat $z/temp); done 2>/dev/null"
    rows = [line.split() for line in adb.shell("sh", "-c", script).splitlines()]
    values = [
        float(row[1]) for row in rows if len(row) == 2 and "cpu" in row[0].lower() and row[1].lstrip("-").isdigit()
    ]
    # Most kernels tell thousandths of a degree, some old ones whole degrees.
    degrees = [value / 1000 if abs(value) > 1000 else value for value in values]
    return max((value for value in degrees if 0 < value < 150), default=None)


def read_profile(path: Path) -> Timing:
    """Read the profile of one model; raises PhoneError when benchmark_model did not write a believable one."""
    try:
        from ai_edge_litert import profiling_info_pb2
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise missing_package("reading a phone's profiles", "litert", error) from error
    profile: Any = profiling_info_pb2.BenchmarkProfilingData()
    try:
        profile.ParseFromString(path.read_bytes())
    except FileNotFoundError:
        raise PhoneError(
            "benchmark_model wrote no profile: builds before 2024 do not know --op_profiling_output_mode=proto"
        ) from None
    except DecodeError:
        raise PhoneError("benchmark_model wrote something that is no profile; try another build") from None
    nodes = [
        node.inference_microseconds
        for graph in profile.runtime_profile.subgraph_profiles
        for node in graph.per_op_profiles
    ]
    runs = min((node.count for node in nodes), default=0)
    total_us = sum(node.sum / node.count for node in nodes if node.count > 0)
    if runs < 1 or not 0 < total_us < 1e9:
        raise PhoneError("benchmark_model wrote a profile without times; try another build")
    mean_ms = total_us / 1000  # a profile holds neither median nor percentiles
    variance_us2 = sum(node.stddev**2 for node in nodes)
    spread = variance_us2**0.5 / total_us
    return Timing(mean_ms, mean_ms, spread, int(runs), spread / runs**0.5)
