"""What `nas export` can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.export import precision_of, require_format
from nas.runs.folder import SETTINGS
from searchspace.yaml_io import load_mapping


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """What `nas export` was asked for; `precision` None is that of the run's latency table, else float32."""

    network: str
    format: str = "tflite"
    precision: str | None = None
    weights: str | None = None
    at_ms: float | None = None
    data: str | None = None
    seed: int = 0
    head: str | None = None
    classes: int | None = None

    def chosen_precision(self) -> str:
        """Return the precision of the file; raises UserError for one that the format does not have."""
        wanted = self.precision or (precision_of(self.network) if self.format == "tflite" else "float32")
        require_format(self.format, wanted)
        return wanted


def run_settings(network: str) -> Mapping[str, Any]:
    """Return the settings of a run, given its folder, nothing for other networks."""
    place = Path(network) / SETTINGS
    return load_mapping(place, "settings file") if "," not in network and place.is_file() else {}
