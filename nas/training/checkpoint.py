"""Checkpoints of a training run: written in one step, read without executing code, refused for another run."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from searchspace.support.errors import UserError
from searchspace.support.files import write_atomic

CHECKPOINT_VERSION = 1


@dataclass(kw_only=True)
class Checkpoints:
    """Where a run keeps its state, how often (`every_seconds`), and whether it starts from what lies there.

    The run itself says, as `identity`, what must not change between it and its continuation: readable text by
    key.
    """

    path: Path
    every_seconds: float = 60.0
    resume: bool = False
    _saved_at: float = field(default_factory=time.monotonic, init=False)

    def due(self) -> bool:
        """Whether the last save is longer ago than `every_seconds`."""
        return time.monotonic() - self._saved_at >= self.every_seconds

    def save(self, state: Mapping[str, Any], identity: Mapping[str, str]) -> None:
        """Write the state so that a crash leaves the old checkpoint or the new one."""
        buffer = io.BytesIO()
        content = {"version": CHECKPOINT_VERSION, "identity": dict(identity), "state": dict(state)}
        torch.save(content, buffer)
        write_atomic(self.path, buffer.getvalue())
        self._saved_at = time.monotonic()

    def load(self, identity: Mapping[str, str]) -> dict[str, Any] | None:
        """Return the saved state, or None when this run starts afresh.

        Raises UserError when the file is damaged or belongs to a run with another identity.
        """
        if not self.resume or not self.path.exists():
            return None
        saved, state = read_checkpoint(self.path)
        self._refuse_other_run(saved, identity)
        return state

    def _refuse_other_run(self, saved: Mapping[str, str], identity: Mapping[str, str]) -> None:
        differing = sorted(key for key in {*saved, *identity} if saved.get(key) != identity.get(key))
        if differing:
            lines = "".join(f"\n  {key}: was {saved.get(key)}, now {identity.get(key)}" for key in differing)
            raise UserError(
                f"{self.path} belongs to a run with other settings:{lines}\n"
                "Give the same settings to resume it, or another output folder to start a new run."
            )


def read_checkpoint(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Return identity and state of whatever run left a checkpoint; raises UserError for a missing or damaged file."""
    if not path.is_file():
        raise UserError(f"no such checkpoint: {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        version, identity, state = content["version"], content["identity"], content["state"]
    except Exception as error:  # torch reports damage by many exception types
        raise UserError(f"{path} is no checkpoint of a training run ({error}); remove it to start afresh") from error
    if version != CHECKPOINT_VERSION:
        raise UserError(f"{path} was written by version {version} of this format, expected {CHECKPOINT_VERSION}")
    return identity, state
