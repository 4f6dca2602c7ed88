"""How far a table's predictions lie from measurements it was not fitted to.

Every source is compared on its own scale: through the view that the table's provenance holds for it, which was fitted
before, on other rows. Nothing is fitted to the rows that are validated unless the caller asks for it (`rescale`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from latency_lut.errors import UnmeasuredOp
from latency_lut.predict import predict_block
from latency_lut.samples import Reading, Sample, Target
from latency_lut.table import LatencyTable
from searchspace.support.errors import UserError


class Comparison(NamedTuple):
    """One measured time beside its prediction and 90 % interval, in milliseconds."""

    label: str
    view: str
    measured_ms: float
    predicted_ms: float
    low_ms: float
    high_ms: float
    extrapolated: bool

    @property
    def error_pct(self) -> float:
        """Signed error of the prediction in percent of the measurement."""
        return 100.0 * (self.predicted_ms / self.measured_ms - 1.0)


@dataclass(frozen=True)
class Validation:
    """Predictions beside measurements, and how many rows could not be compared for which reason."""

    comparisons: tuple[Comparison, ...]
    skipped: Counter[str] = field(default_factory=Counter)

    def scores(self) -> dict[str, float | int | None]:
        """Return the figures by name; percentages from 0 to 100, None where there are too few rows for a figure."""
        return scores(self.comparisons)

    def scores_by_view(self) -> dict[str, dict[str, float | int | None]]:
        """Return the figures of each source's scale ("own" is the table's)."""
        views = sorted({comparison.view for comparison in self.comparisons})
        return {view or "own": scores([c for c in self.comparisons if c.view == view]) for view in views}


def target_of(table: LatencyTable) -> Target:
    """Return which rows of a file a table can be compared with."""
    return Target(table.provenance.device, table.provenance.precision)


def validate(table: LatencyTable, reading: Reading, rescale: bool = False) -> Validation:
    """Predict every sample of a reading on the scale of its source.

    `rescale` multiplies the predictions of each source by the one factor that removes their median error: it answers
    "how good would the table be after plain scaling", and peeks at the measurements to do so.
    """
    comparisons: list[Comparison] = []
    skipped = Counter(reading.skipped)
    tables = {"": table} | {view: table.view(view) for view in table.provenance.views}
    for sample in reading:
        on_scale = tables.get(sample.view, table)
        try:
            comparisons.append(_compare(sample, on_scale))
        except UnmeasuredOp:
            skipped["holds an op of a kind that the table lacks"] += 1
    return Validation(tuple(_rescaled(comparisons) if rescale else comparisons), skipped)


def _compare(sample: Sample, table: LatencyTable) -> Comparison:
    prediction = predict_block(table, sample.ops, allow_extrapolation=True, whole_network=sample.whole_network)
    return Comparison(
        label=sample.label,
        view=sample.view if sample.view in table.provenance.views else "",
        measured_ms=sample.latency_ms,
        predicted_ms=prediction.latency_ms,
        low_ms=prediction.low_ms,
        high_ms=prediction.high_ms,
        extrapolated=prediction.extrapolated,
    )


def _rescaled(comparisons: Iterable[Comparison]) -> list[Comparison]:
    comparisons = list(comparisons)
    factors = {}
    for view in {comparison.view for comparison in comparisons}:
        ratios = [c.measured_ms / c.predicted_ms for c in comparisons if c.view == view]
        factors[view] = float(np.median(ratios))
    return [
        c._replace(
            predicted_ms=c.predicted_ms * factors[c.view],
            low_ms=c.low_ms * factors[c.view],
            high_ms=c.high_ms * factors[c.view],
        )
        for c in comparisons
    ]


def scores(comparisons: Sequence[Comparison]) -> dict[str, float | int | None]:
    """Return error, rank and interval figures; None where there are too few rows for a figure."""
    errors = np.array([comparison.error_pct for comparison in comparisons])
    absolute = np.abs(errors)
    inside = np.array([c.low_ms <= c.measured_ms <= c.high_ms for c in comparisons])
    if not comparisons:
        return {"count": 0} | dict.fromkeys(_FIGURES, None)
    spearman, kendall = _rank_correlations(comparisons)
    values = (
        absolute.mean(),
        np.median(absolute),
        np.percentile(absolute, 95),
        absolute.max(),
        errors.mean(),
        100.0 * np.mean(absolute <= 5.0),
        100.0 * np.mean(absolute <= 10.0),
        spearman,
        kendall,
        100.0 * inside.mean(),
    )
    figures = {name: None if value is None else float(value) for name, value in zip(_FIGURES, values, strict=True)}
    return {"count": len(comparisons)} | figures


_FIGURES = (
    "mean_abs_pct",
    "median_abs_pct",
    "p95_abs_pct",
    "max_abs_pct",
    "bias_pct",
    "within_5_pct",
    "within_10_pct",
    "spearman",
    "kendall",
    "coverage_90_pct",
)


def _rank_correlations(comparisons: Sequence[Comparison]) -> tuple[float | None, float | None]:
    from scipy.stats import kendalltau, spearmanr

    measured = [comparison.measured_ms for comparison in comparisons]
    predicted = [comparison.predicted_ms for comparison in comparisons]
    if len(set(measured)) < 2 or len(set(predicted)) < 2:
        return None, None
    return float(spearmanr(measured, predicted).statistic), float(kendalltau(measured, predicted).statistic)


def require_comparisons(validation: Validation, what: str) -> None:
    """Raise UserError, listing why rows were skipped, where not one row could be compared."""
    if not validation.comparisons:
        reasons = "; ".join(f"{count} {reason}" for reason, count in validation.skipped.most_common()) or "it is empty"
        raise UserError(f"{what} holds no row to compare with: {reasons}")
