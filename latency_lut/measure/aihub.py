"""A phone of Qualcomm AI Hub as a device: one profile job a model, through the `qai-hub` client.

Jobs cost money or quota, so that each is written down, once before it is submitted and again with its number: a
measuring that was killed looks for the one it was submitting, asks for the results of the others, and pays for none
twice. A model is named by its hash; one that is timed twice, such as a reference, is one job.
"""

from __future__ import annotations

import configparser
import contextlib
import hashlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latency_lut.measure import aihub_client
from latency_lut.measure.adb import DeviceLost
from latency_lut.measure.backend import Conditions, DeviceFacts
from latency_lut.measure.litert import Timing
from searchspace.support.errors import UserError
from searchspace.support.folders import data_folder
from searchspace.support.log import Log, LogKind, damaged
from searchspace.support.optional import is_installed

JOBS = LogKind(format="aihub-jobs/1", name="list of AI Hub jobs")
UNITS = ("npu", "gpu", "cpu")
_PYTHON = "NAS_AIHUB_PYTHON"
_POLL_S = 10.0
_LONE_ERROR = 0.05  # relative standard deviation of a time that comes alone
# Raised by the client where the service or the way to it fails; anything else is the request's fault.
_PASSING = frozenset({"InternalError", "ConnectionError", "Timeout", "ConnectTimeout", "ReadTimeout", "RetryError"})


class JobFailed(OSError):
    """AI Hub ran a job and it failed: the model does not run on the device."""


@dataclass(frozen=True)
class Profile:
    """What AI Hub found out about a model: single runs in ms, and layers as (type, unit), such as ("ADD", "NPU")."""

    times_ms: tuple[float, ...]
    layers: tuple[tuple[str, str], ...] = ()

    def timing(self) -> Timing:
        """Return the runs summed up; a time that comes alone is given a standard deviation of 5 %."""
        if len(self.times_ms) > 1:
            return Timing.of(self.times_ms)
        (time_ms,) = self.times_ms
        return Timing(time_ms, time_ms, _LONE_ERROR, 1, _LONE_ERROR)

    def beside(self, unit: str) -> tuple[str, ...]:
        """Return the types of layers that ran elsewhere than on `unit`."""
        return tuple(sorted({kind for kind, where in self.layers if where.lower() != unit}))


@dataclass
class Jobs:
    """The jobs of one measuring by the hash of their model, kept in a file: numbers first, then profiles."""

    path: Path
    header: Mapping[str, Any]
    numbers: dict[str, str] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)  # submitted, perhaps: the number was never learned
    run: str = ""  # tells this measuring's jobs from those of others of the same models
    profiles: dict[str, Profile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._log = Log.open(JOBS, self.path, self.header)
        for entry in self._log.entries:
            match entry.document:
                case {"run": str(run)}:
                    self.run = run
                case {"model": str(model), "begun": True}:
                    self.begun.add(model)
                case {"model": str(model), "job": str(number)}:
                    self.begun.discard(model)
                    self.numbers[model] = number
                case {"model": str(model), "times_ms": list(times), "layers": list(layers)}:
                    self.profiles[model] = Profile(tuple(times), tuple((kind, unit) for kind, unit in layers))
                case {"model": str(model), "failed": str()}:
                    self.numbers.pop(model, None)
                case _:
                    raise damaged(JOBS, self.path, entry.line, "not a job")
        if not self.run:
            self.run = secrets.token_hex(4)
            self._log.append({"run": self.run})

    def begin(self, model: str) -> None:
        """Write down that a job is about to be submitted."""
        if model not in self.begun:
            self._log.append({"model": model, "begun": True})

    def submitted(self, model: str, number: str) -> None:
        """Write down a job before its result is waited for."""
        self._log.append({"model": model, "job": number})
        self.begun.discard(model)
        self.numbers[model] = number

    def finished(self, model: str, profile: Profile) -> None:
        """Write down a result."""
        layers = [list(layer) for layer in profile.layers]
        self._log.append({"model": model, "times_ms": list(profile.times_ms), "layers": layers})
        self.profiles[model] = profile

    def failed(self, model: str, reason: str) -> None:
        """Write down that a job failed: another try is another job."""
        self._log.append({"model": model, "failed": reason})
        self.numbers.pop(model, None)

    def close(self) -> None:
        """Close the file; it stays where it is."""
        self._log.close()

    def remove(self) -> None:
        """Delete the file: the results live on in the finished table."""
        self.close()
        self.path.unlink(missing_ok=True)


class AiHub:
    """Times models on a phone of AI Hub; made by `open_aihub`."""

    batch_size = 16
    seconds_per_op = 30.0  # a job waits its turn; ops are not measured one by one there

    def __init__(
        self,
        client: Client,
        device: str,
        unit: str,
        jobs_path: Path,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.device, self.unit = device, unit
        self._client, self._sleep = client, sleep
        self._found = client.ask(do="open", device=device)
        self.options = f"--compute_unit {unit}"
        self.jobs = Jobs(jobs_path, {"device": device, "os": self._found["os"], "options": self.options})

    def facts(self) -> DeviceFacts:
        """Identify phone, chip and the client's version."""
        chips = [text.removeprefix("chipset:") for text in self._found["attributes"] if text.startswith("chipset:")]
        return DeviceFacts(
            device=f"{self.device} {self.unit.upper()}",
            soc=chips[0] if chips else "unknown",
            runtime=f"TFLite on Qualcomm AI Hub, Android {self._found['os']}",
            runtime_build=f"qai-hub {self._found['client']}",
            cores=self.unit.upper(),
            threads=0,
        )

    def conditions(self) -> Conditions:
        """Tell nothing: the service does not say how warm or fast its phones are."""
        return Conditions()

    def time(self, models: Sequence[bytes]) -> list[Timing]:
        """Submit what was never submitted, wait for all; raises DeviceLost when the service is away, else JobFailed."""
        return [self.profile(name).timing() for name in self.submit(models)]

    def submit(self, models: Sequence[bytes]) -> list[str]:
        """Submit the models that have no job yet; return the hashes by which `profile` knows them all."""
        names = [hashlib.sha256(model).hexdigest()[:24] for model in models]
        with tempfile.TemporaryDirectory() as folder:
            for name, model in dict(zip(names, models, strict=True)).items():
                if name in self.jobs.numbers or name in self.jobs.profiles:
                    continue
                job_name = f"{name}-{self.jobs.run}"
                number = self._client.ask(do="find", name=job_name)["job"] if name in self.jobs.begun else None
                if number is None:
                    path = Path(folder) / f"{name}.tflite"
                    path.write_bytes(model)
                    self.jobs.begin(name)
                    answer = self._client.ask(do="submit", model=str(path), name=job_name, options=self.options)
                    number = answer["job"]
                self.jobs.submitted(name, number)
        return names

    def profile(self, name: str) -> Profile:
        """Return the profile of a submitted model, waiting for it; raises JobFailed when the model does not run."""
        while name not in self.jobs.profiles:
            answer = self._client.ask(do="result", job=self.jobs.numbers[name])
            if answer["state"] == "failed":
                number = self.jobs.numbers[name]
                self.jobs.failed(name, answer["reason"])
                raise JobFailed(f"AI Hub's job {number} failed: {answer['reason']}")
            if answer["state"] == "done":
                times_ms = tuple(time_us / 1000 for time_us in answer["times_us"])
                if not times_ms or not all(0 < time_ms < 1e6 for time_ms in times_ms):
                    raise JobFailed(f"AI Hub's job {self.jobs.numbers[name]} gives no times: {answer['times_us']}")
                layers = tuple((str(kind), str(unit)) for kind, unit in answer["layers"])
                self.jobs.finished(name, Profile(times_ms, layers))
                break
            self._sleep(_POLL_S)
        return self.jobs.profiles[name]

    def cool_down(self, attempt: int) -> None:
        """Do nothing: the service gives its phones their rest."""


class Client:
    """The `qai-hub` client in its own Python."""

    def __init__(self, python: str) -> None:
        self._process = subprocess.Popen(
            [python, "-I", aihub_client.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,  # Ctrl-C stops the measuring, not a job that is being submitted
        )

    def ask(self, **request: str) -> dict[str, Any]:
        """Return the answer; raises UserError for what the user can mend, DeviceLost when the service is away."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise DeviceLost("the qai-hub client ended unexpectedly")
        answer: dict[str, Any] = json.loads(line)
        if "error" not in answer:
            return answer
        text = f"AI Hub: {answer['error'].strip()}"
        raise DeviceLost(text) if answer["kind"] in _PASSING else UserError(text)

    def close(self) -> None:
        """End the client's process."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait(timeout=30)


@contextlib.contextmanager
def open_aihub(name: str, jobs_path: Path | None = None) -> Iterator[AiHub]:
    """Yield a phone of AI Hub, given as NAME or NAME/UNIT; its jobs are kept in `jobs_path`.

    Raises UserError without a name, the client, the user's token or the device, saying what to do.
    """
    device, _, unit = name.partition("/")
    unit = unit or UNITS[0]
    if not device or unit not in UNITS:
        raise UserError(
            f'aihub:{name} names no device of AI Hub: write aihub:"Samsung Galaxy S24", with /gpu or /cpu behind '
            "it for another unit than the NPU"
        )
    python = client_python()
    require_token(python)
    client = Client(python)
    try:
        hub = AiHub(client, device, unit, jobs_path or jobs_file(name))
        try:
            yield hub
        finally:
            hub.jobs.close()
    finally:
        client.close()


def jobs_file(name: str) -> Path:
    """Return where the jobs of a device are kept while they run."""
    plain = "".join(char if char.isalnum() else "_" for char in name.lower())
    return data_folder() / "aihub-jobs" / f"{plain}.jsonl"


def client_python() -> str:
    """Return the Python that has the client: this one, `$NAS_AIHUB_PYTHON`, or that of the folder made for it.

    Raises UserError that says how to install the client.
    """
    own = data_folder() / "aihub" / "bin" / "python"
    given = os.environ.get(_PYTHON)
    if given and not Path(given).is_file():
        raise UserError(f"{_PYTHON} is {given}, and there is no such file")
    if given:
        return given
    if own.is_file():
        return str(own)
    if is_installed("qai_hub"):
        return sys.executable
    raise UserError(
        "measuring on AI Hub needs the client qai-hub, in a virtual environment of its own, since it excludes the "
        f"versions of protobuf used here: python3 -m venv {own.parents[1]} && {own.parent}/pip install qai-hub "
        f"(or set {_PYTHON} to a Python that has it)"
    )


def require_token(python: str) -> None:
    """Raise UserError unless the client's settings hold a token, saying where to get it and where to put it."""
    path = Path(os.environ.get("QAIHUB_CLIENT_INI") or "~/.qai_hub/client.ini").expanduser()
    settings = configparser.ConfigParser()
    with contextlib.suppress(configparser.Error):
        settings.read(path)
    if not settings.get("api", "api_token", fallback="").strip():
        program = Path(python).parent / "qai-hub"
        raise UserError(
            f"there is no AI Hub token in {path}: sign in at https://workbench.aihub.qualcomm.com, copy the token "
            f"under Account, Settings, and run {program} configure --api_token TOKEN, which writes that file"
        )
