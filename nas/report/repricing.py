"""A finished run beside the latency table of today: does what it says of latency still hold?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latency_lut import predict
from latency_lut.devices import load_device
from nas.runs import RunFolder
from searchspace.support.errors import UserError
from searchspace.text import parse
from searchspace.yaml_io import load_mapping

# The same table gives the same milliseconds; a file of results rounds nothing.
_SAME_MS = 1e-6


@dataclass(frozen=True, kw_only=True)
class Repriced:
    """Latencies in ms of a run's result by the table it used and by today's; `limit_ms` is its budget or target.

    `table_then` is None for runs of releases that did not note their table.
    """

    run: str
    device: str
    table_then: str | None
    table_now: str
    then_ms: float
    now_ms: float
    now_high_ms: float
    limit_ms: float

    @property
    def changed(self) -> bool:
        """Whether the table that the run was priced by is another one than today's."""
        if self.table_then is not None:
            return self.table_then != self.table_now
        return abs(self.then_ms - self.now_ms) > _SAME_MS

    @property
    def keeps_limit(self) -> bool:
        """Whether the upper end of today's interval is within the budget."""
        return self.now_high_ms <= self.limit_ms

    def __str__(self) -> str:
        table = f"{self.device} table {self.table_now[:12]}"
        if not self.changed:
            return f"Priced by the {table}, the one that is used now: {self.then_ms:.2f} ms."
        then = "an earlier table" if self.table_then is None else f"the table {self.table_then[:12]}"
        kept = "kept" if self.keeps_limit else "not kept"
        return (
            f"Priced by {then}: {self.then_ms:.2f} ms. By the {table}, which is used now, it is {self.now_ms:.2f} ms "
            f"and up to {self.now_high_ms:.2f} ms; the {self.limit_ms:.2f} ms asked for are {kept}."
        )


def reprice(run: str | Path) -> Repriced:
    """Price the result of a run by the table of its device that is used now.

    Raises UserError for a run that has not finished, or whose result has no latency.
    """
    folder = RunFolder(Path(run))
    result = folder.result()
    if not has_latency(result):
        raise UserError(f"{run} holds no result with a latency: only searches and NetAdapt runs have one")
    table = load_device(result["device"])
    prediction = predict(table, parse(result["architecture"]), allow_extrapolation=True)
    return Repriced(
        run=str(run),
        device=result["device"],
        table_then=_table_of(folder, result),
        table_now=table.sha256,
        then_ms=float(result["latency_ms"]),
        now_ms=prediction.latency_ms,
        now_high_ms=prediction.high_ms,
        limit_ms=float(_limit_of(result)),
    )


def has_latency(result: Mapping[str, Any]) -> bool:
    """Return whether a run's result has a latency and a budget for it: that of a search or of NetAdapt has."""
    return isinstance(_limit_of(result), int | float) and "latency_ms" in result and "device" in result


def _limit_of(result: Mapping[str, Any]) -> Any:
    return result.get("budget_ms", result.get("target_ms"))


def _table_of(folder: RunFolder, result: dict[str, Any]) -> str | None:
    """The hash of the table a run was priced by: in its result or, before there was one, among its settings."""
    if isinstance(table := result.get("latency_table"), dict):
        return table.get("sha256")
    path = folder.file("settings.yaml")
    found = load_mapping(path, "settings file").get("table_sha256") if path.is_file() else None
    return found if isinstance(found, str) else None
