"""What a network can be judged by: each metric's name, unit, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass, replace

from searchspace.support.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A named figure of a network; `device` is set where the same figure is taken on several devices."""

    base: str
    unit: str
    higher_is_better: bool
    meaning: str
    device: str = ""

    @property
    def name(self) -> str:
        """The name as results write it: `latency_ms`, or `latency_ms@pixel4` where a device is named."""
        return f"{self.base}@{self.device}" if self.device else self.base

    def as_dict(self) -> dict[str, str]:
        """Return unit and direction for a result file."""
        return {"unit": self.unit, "better": "higher" if self.higher_is_better else "lower"}


METRICS = {
    one.base: one
    for one in (
        Metric(base="top1", unit="%", higher_is_better=True, meaning="top-1 accuracy"),
        Metric(base="latency_ms", unit="ms", higher_is_better=False, meaning="predicted latency"),
        Metric(base="madds", unit="", higher_is_better=False, meaning="multiply-adds"),
        Metric(base="params", unit="", higher_is_better=False, meaning="parameters"),
        Metric(
            base="peak_activation_bytes",
            unit="bytes",
            higher_is_better=False,
            meaning="memory of activations, the most of any operation's inputs and outputs, in float32",
        ),
    )
}


def metric(name: str) -> Metric:
    """Return the metric of a name such as `params`, `latency` or `latency_ms@pixel4`; raises UserError for another."""
    base, _, device = name.partition("@")
    found = METRICS.get("latency_ms" if base == "latency" else base)
    if found is None or (device and found.base != "latency_ms"):
        known = ", ".join((*METRICS, "latency_ms@DEVICE"))
        raise UserError(f"unknown metric {name[:60]!r}: expected one of {known}")
    return replace(found, device=device)
