"""What int8 costs in accuracy on a phone's NPU, as published: `python benchmarks/published_int8.py FILE`.

FILE is `aihub_on_device_accuracy.csv`. Prints a row for each convolutional network that this project or its tables
know: top-1 in float, in 8 bits (w8a8) and with 16-bit activations (w8a16), the best of the published runtimes each.
About 1,000 images were classified, so that 1.4 points are one standard deviation of a single accuracy.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

NETWORKS = (
    "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "mnasnet05", "efficientnet_b0", "efficientnet_b4",
    "shufflenet_v2", "resnet18", "regnet_y_800mf", "densenet121", "gpunet",
)  # fmt: skip
PRECISIONS = ("float", "w8a8", "w8a16")


def rows(file: Path) -> list[str]:
    """Return the rows of the table, in Markdown."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    best: dict[tuple[str, str], float] = {}
    for row in csv.DictReader(lines):
        key = row["model"], row["precision"]
        best[key] = max(best.get(key, 0.0), float(row["on_device"]))
    return [f"| {name} | {' | '.join(_cell(best, name, precision) for precision in PRECISIONS)} |" for name in NETWORKS]


def _cell(best: dict[tuple[str, str], float], name: str, precision: str) -> str:
    found, plain = best.get((name, precision)), best[name, "float"]
    if found is None:
        return "not published"
    return f"{found:.1f}" if precision == "float" else f"{found:.1f} ({found - plain:+.1f})"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("\n".join(rows(Path(sys.argv[1]))))
