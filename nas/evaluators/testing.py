"""An evaluator with every fault that a search has to stand: for tests of engines, importable by their workers."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.objectives import Values
from searchspace.choices import Genotypes

FAULTS = ("raises", "is not a number", "dies", "hangs", "runs out of memory", "raises every time")


@dataclass(frozen=True)
class FaultyEvaluator:
    """Scores a network by its hash; for every twelfth network each of `faults` happens, once, noted in `folder`."""

    folder: str
    faults: tuple[str, ...] = FAULTS
    label: str = "a hash"
    fingerprint: str = "hash"
    seconds: float = 0.0

    @property
    def basis(self) -> Mapping[str, str]:
        """Nothing."""
        return {}

    def top1(self, genotypes: Genotypes) -> Values:
        """Return scores from 50 to 60, shape (n,), or fail."""
        return np.array([self._one(row) for row in genotypes])

    def fault_of(self, genotype: Genotypes) -> str | None:
        """Return what goes wrong with a network, if anything."""
        number = hashlib.sha256(genotype.tobytes()).digest()[0] % 12
        fault = FAULTS[number] if number < len(FAULTS) else None
        return fault if fault in self.faults else None

    def _one(self, genotype: Genotypes) -> float:
        time.sleep(self.seconds)
        digest = hashlib.sha256(genotype.tobytes()).digest()
        fault = self.fault_of(genotype)
        marker = Path(self.folder) / digest.hex()
        if fault is not None and (fault == FAULTS[-1] or not marker.exists()):
            marker.touch()
            if fault == "is not a number":
                return float("nan")
            _fail(fault)
        return 50 + digest[1] / 25.6


def _fail(fault: str) -> None:
    if fault == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hangs":
        time.sleep(600)
    if fault == "runs out of memory":
        raise MemoryError("no memory")
    raise RuntimeError("refused")
