"""What a run folder tells of the file that comes out of it."""

from __future__ import annotations

import json
from pathlib import Path

_RESULT = "result.json"


def precision_of(network: str) -> str:
    """Return the precision of the latency table that a run folder's network was chosen by; float32 for all else."""
    from latency_lut.devices import load_device
    from searchspace.support.errors import UserError

    result = Path(network) / _RESULT if "," not in network else None
    if result is None or not result.is_file():
        return "float32"
    try:
        device = json.loads(result.read_text(encoding="utf-8")).get("device")
        return load_device(device).provenance.precision.value if isinstance(device, str) else "float32"
    except (UserError, ValueError, AttributeError):
        return "float32"
