"""How a latency table was made: the header without which its numbers mean nothing.

The provenance also holds the terms that turn entries of single ops into the time of a whole network on one
published scale (`Scale`), and the further scales the same entries were fitted to (`views`).
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from latency_lut.roofline import Roofline
from searchspace.ops import OpKind
from searchspace.support.errors import UserError


class Precision(StrEnum):
    """Number format in which the runtime executed the ops."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"  # GPUs and NPUs
    INT8 = "int8"


class Method(StrEnum):
    """Where the times of a table come from."""

    MEASURED = "measured"  # timed op by op on the device
    CALIBRATED = "calibrated"  # inferred from times of blocks and whole networks
    IMPORTED = "imported"  # taken over from another project's table


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Terms that keep the sum over ops unbiased: what running ops one after another adds to, or saves.

    A network takes `per_network_ms` + the sum over its ops of (`factors[op.kind]` x entry + `per_op_ms`).
    A factor that is absent is 1.
    """

    factors: Mapping[OpKind, float] = field(default_factory=dict)
    per_op_ms: float = 0.0
    per_network_ms: float = 0.0
    interval_pct: float | None = None  # overrides the table's where this scale was validated on its own
    source: str = ""

    def __post_init__(self) -> None:
        for kind, factor in self.factors.items():
            if not (math.isfinite(factor) and factor >= 0):
                raise UserError(f"factor of {kind} must be a finite number of at least 0, not {factor}")
        if not (math.isfinite(self.per_op_ms) and math.isfinite(self.per_network_ms)):
            raise UserError(f"per_op_ms and per_network_ms must be finite, not {self.per_op_ms}, {self.per_network_ms}")
        if self.per_network_ms < 0:
            raise UserError(f"per_network_ms must be at least 0, not {self.per_network_ms}")
        if self.interval_pct is not None:
            _check_percentage("interval_pct", self.interval_pct)

    def op_ms(self, kind: OpKind, entry_ms: float) -> float:
        """Return what an op with the entry `entry_ms` adds to the time of a network, in milliseconds."""
        return max(self.factors.get(kind, 1.0) * entry_ms + self.per_op_ms, 0.0)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Device, runtime, conditions and method of a table, with how far its predictions may be trusted."""

    device: str
    soc: str
    runtime: str
    runtime_build: str
    threads: int  # 0 where it was not published
    cores: str
    precision: Precision
    resolution: int
    runs: int  # timed runs behind a typical entry; 0 where it is not known
    date: str  # YYYY-MM-DD
    method: Method
    sources: tuple[str, ...] = ()
    points_used: int | None = None  # measurements that went into a calibration
    left_out_error_pct: float | None = None  # mean absolute error on measurements that did not
    interpolation_error_pct: float = 0.0  # one standard deviation of interpolated entries, from leaving one out
    interval_pct: float = 0.0  # 90 % of left-out whole networks lie within this of their prediction
    scale: Scale = field(default_factory=Scale)
    views: Mapping[str, Scale] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)  # governor, frequency, temperature ...
    notes: str = ""
    roofline: Roofline | None = None  # rates that price every op that is no entry
    untimed: tuple[OpKind, ...] = ()  # kinds of op that no measured network held: priced by what is usual
    unsupported: tuple[OpKind, ...] = ()  # kinds that the device cannot run, or leaves to a slower unit

    def __post_init__(self) -> None:
        for name in ("device", "soc", "runtime", "runtime_build", "cores", "date"):
            if not getattr(self, name):
                raise UserError(f"{name} of a latency table must be given (`unknown` where it is not known)")
        for name, least in (("threads", 0), ("resolution", 1), ("runs", 0)):
            if getattr(self, name) < least:
                raise UserError(f"{name} must be at least {least}, not {getattr(self, name)}")
        try:
            datetime.date.fromisoformat(self.date)
        except ValueError:
            raise UserError(f"date must be a day as YYYY-MM-DD, not {self.date!r}") from None
        if self.points_used is not None and self.points_used < 0:
            raise UserError(f"points_used must be at least 0, not {self.points_used}")
        _check_percentage("interpolation_error_pct", self.interpolation_error_pct)
        _check_percentage("interval_pct", self.interval_pct)
        if self.left_out_error_pct is not None:
            _check_percentage("left_out_error_pct", self.left_out_error_pct)

    @property
    def threads_text(self) -> str:
        """The number of threads in words."""
        return f"{self.threads} thread{'s' if self.threads > 1 else ''}" if self.threads else "threads not stated"

    @property
    def network_interval_pct(self) -> float:
        """Half width of the 90 % interval that the model's own error gives a whole network, in percent."""
        return self.interval_pct if self.scale.interval_pct is None else self.scale.interval_pct

    def viewed(self, name: str) -> Provenance:
        """Return the provenance with the scale of another source; raises UserError for an unknown view."""
        if name not in self.views:
            known = ", ".join(sorted(self.views)) or "none"
            raise UserError(f"the table of {self.device} has no view {name!r}; it has: {known}")
        return replace(self, scale=self.views[name])


def _check_percentage(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise UserError(f"{name} must be a finite percentage of at least 0, not {value}")
