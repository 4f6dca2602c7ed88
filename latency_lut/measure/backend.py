"""What the measuring loop needs from a device, and what is timed on it: single ops and whole networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from latency_lut.measure.litert import Timing
from latency_lut.measure.models import copies_of, network_model, op_model
from latency_lut.provenance import Precision
from latency_lut.tflite.quantise import quantise_int8
from searchspace.architecture import Architecture
from searchspace.ops import Op, OpKind
from searchspace.support.errors import UserError
from searchspace.text import parse

Task = Op | Architecture


@dataclass(frozen=True, kw_only=True)
class DeviceFacts:
    """What identifies a device and the runtime on it; two runs with different facts do not belong into one table."""

    device: str
    soc: str
    runtime: str
    runtime_build: str
    cores: str
    threads: int


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What may change while measuring: governor, frequency, temperature; None where the device does not tell."""

    governor: str | None = None
    frequency_mhz: float | None = None
    temperature_c: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def as_text(self) -> dict[str, str]:
        """Return the known ones as texts for a table's header."""
        known = {
            "governor": self.governor,
            "frequency": None if self.frequency_mhz is None else f"{self.frequency_mhz:.0f} MHz",
            "temperature": None if self.temperature_c is None else f"{self.temperature_c:.1f} C",
        }
        return {name: text for name, text in known.items() if text is not None} | dict(self.extra)


class Backend(Protocol):
    """A device that times TFLite models."""

    @property
    def batch_size(self) -> int:
        """How many models are worth handing over together."""

    @property
    def seconds_per_op(self) -> float:
        """About how long an op takes to be measured, its share of the references included, where nothing else runs."""

    def facts(self) -> DeviceFacts:
        """Identify the device; raises UserError or DeviceLost when it cannot be used."""

    def conditions(self) -> Conditions:
        """Read governor, frequency and temperature now."""

    def time(self, models: Sequence[bytes]) -> list[Timing]:
        """Time TFLite models one after another; raises DeviceLost when the device goes away."""

    def cool_down(self, attempt: int) -> None:
        """Wait for the device to recover, longer with each `attempt` (1, 2, ...)."""


def build_model(task: Task, precision: Precision, seed: int = 0) -> tuple[bytes, int]:
    """Return the TFLite model that times a task, and how many copies of the task it holds."""
    if isinstance(task, Op):
        copies = copies_of(task)
        content = op_model(task, copies, seed)
    else:
        copies, content = 1, network_model(task, seed)
    return (quantise_int8(content) if precision is Precision.INT8 else content), copies


def task_key(task: Task) -> list[Any]:
    """Return the task as a JSON value, the inverse of `task_of`."""
    if isinstance(task, Op):
        shape = [task.in_size, task.in_channels, task.out_channels, task.kernel, task.stride]
        if not task.square:
            shape += [task.dilation, task.in_width, task.kernel_width, task.stride_width]
        elif task.dilation != 1:
            shape.append(task.dilation)
        return ["op", task.kind.value, *shape]
    return ["network", str(task)]


def task_of(key: Any) -> Task:
    """Return the task that a JSON value stands for; raises UserError for anything else."""
    match key:
        case ["network", str(text)]:
            return parse(text)
        case ["op", str(kind), *numbers] if len(numbers) in (5, 6, 9) and all(
            type(n) is int and n >= (place < 6) for place, n in enumerate(numbers)
        ):
            if kind in list(OpKind):
                return Op(OpKind(kind), *numbers)
    raise UserError(f"{str(key)[:80]} is neither an op nor a network")
