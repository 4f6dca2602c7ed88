"""What is known of an exported file."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRecord:
    """What is known of an exported file.

    `output_error` is the largest difference to torch over the output's range, `top1_agreement` the percentage of
    images that an int8 file and torch classify alike, `calibration` what an int8 file's ranges were taken from,
    `fallbacks` the operators that XNNPACK leaves to slower kernels, by name, `usage` what the file says of its use;
    `score` is what an int8 file with a head reaches on test images (`metric`, `torch`, `file` in per cent, `images`).
    """

    file: str
    format: str = "tflite"
    precision: str
    weights: str
    resolution: int
    size_bytes: int
    output_error: float
    top1_agreement: float | None = None
    calibration: str | None = None
    host_latency_ms: float
    host_spread: float
    host_runs: int
    host_threads: int
    host: str
    runtime: str
    fallbacks: Mapping[str, int] = field(default_factory=dict)
    usage: Mapping[str, Any] = field(default_factory=dict)
    score: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the record as JSON-ready values, without what does not apply."""
        told = asdict(self) | {"remarks": self.remarks}
        return {name: value for name, value in told.items() if value is not None and value not in ({}, [])}

    @property
    def remarks(self) -> list[str]:
        """What a reader has to know before the file is used, in sentences."""
        found = []
        if self.weights != "trained":
            found.append("Its weights are untrained: good for timing; train the network before you use its answers.")
        if self.calibration is not None:
            found.append(f"Its int8 ranges come from {self.calibration}.")
        if self.score:
            told = self.score
            found.append(
                f"On {told['images']} test images its {told['metric']} is {told['file']:.1f} %, "
                f"that of PyTorch {told['torch']:.1f} %."
            )
        if self.fallbacks:
            listed = ", ".join(f"{count} {name}" for name, count in self.fallbacks.items())
            found.append(f"In {self.precision} XNNPACK has no kernel for {listed}: a slower one runs them.")
        return found


def host_name() -> str:
    """Return this machine's processor and system in a few words."""
    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    except OSError:
        pass  # not Linux: the platform module's answer has to do
    return f"{processor}, {platform.system()} {platform.machine()}"
