"""What a table cannot decide: budgets near the constant of its device, ops that nobody timed there, wide intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from latency_lut.predict import half_interval_ms, overhead_ms, predict
from latency_lut.table import LatencyTable
from searchspace.ops import Op, OpKind
from searchspace.reference import reference
from searchspace.support.errors import UserError

_WEAK_PCT = 35.0  # an interval as wide as this tells networks apart badly
_TYPICAL = "mobilenet_v2"
_MOSTLY = 0.5


def typical_interval_pct(table: LatencyTable) -> float:
    """Return half the width of the 90 % interval of a common network, MobileNetV2, in percent."""
    found = predict(table, reference(_TYPICAL), allow_extrapolation=True)
    return 100 * (found.high_ms / found.latency_ms - 1)


def too_weak(table: LatencyTable) -> bool:
    """Return whether a table's intervals are too wide to search with it."""
    return typical_interval_pct(table) >= _WEAK_PCT


def doubtful_kinds(table: LatencyTable, ops: Iterable[Op]) -> tuple[OpKind, ...]:
    """Return the kinds among `ops` that the device cannot run, or that no measured network held."""
    doubtful = {*table.provenance.untimed, *table.provenance.unsupported}
    return tuple(sorted({op.kind for op in ops} & doubtful))


def require_above_constant(table: LatencyTable, budget_ms: float) -> None:
    """Raise UserError for a budget that what every network takes uses up, or may within its interval."""
    constant_ms = overhead_ms(table.provenance)
    if constant_ms == 0.0:
        return
    upper_ms = constant_ms + float(half_interval_ms(constant_ms, 0.0, 0.0, table.provenance))
    if budget_ms <= upper_ms:
        below = "is below" if budget_ms <= constant_ms else "lies within the interval of"
        raise UserError(
            f"{budget_ms:g} ms {below} what any network takes on {_called(table)} beside its layers: "
            f"{constant_ms:.3g} ms, up to {upper_ms:.3g} ms. "
            f"It cannot tell networks apart there; give a budget well above {upper_ms:.3g} ms"
        )


def doubts(table: LatencyTable, ops: Iterable[Op], budget_ms: float) -> Iterator[str]:
    """Yield what a user should know who searches among networks of `ops` with this table, one sentence each."""
    made, constant_ms = table.provenance, overhead_ms(table.provenance)
    if constant_ms > _MOSTLY * budget_ms:
        yield (
            f"{constant_ms:.3g} of the {budget_ms:g} ms are the constant of {_called(table)}, whatever the network: "
            "differences between small networks lie within the interval"
        )
    if too_weak(table):
        yield (
            f"the table of {_called(table)} is too weak to search with: its interval is "
            f"±{typical_interval_pct(table):.0f} % for MobileNetV2"
        )
    kinds = {op.kind for op in ops}
    unsupported = ", ".join(kind.value for kind in made.unsupported if kind in kinds)
    untimed = ", ".join(kind.value for kind in made.untimed if kind in kinds and kind not in made.unsupported)
    if unsupported:
        yield f"{_called(table)} cannot run {unsupported}, or leaves it to a slower unit: --only-supported excludes it"
    if untimed:
        yield (
            f"no network timed on {_called(table)} held {untimed}: priced by what is usual; "
            "--only-supported excludes it"
        )


def _called(table: LatencyTable) -> str:
    return table.path.stem if table.path else table.provenance.device
