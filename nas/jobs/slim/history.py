"""What a slimming run remembers while it runs, so that one killed at any moment goes on to the same result.

Steps and final trainings are append-only JSON lines. The weights of a step are written, in one step, before its line:
a line without its weights cannot be, and weights without a line are simply made again. A torn last line is dropped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from nas.jobs.slim.tuning import Final, FinalOutcome
from nas.runs import RunFolder
from nas.training.evaluation import Accuracy
from netadapt.loop import Position, Step, Tried, Tuned
from netadapt.resources import Pricer
from searchspace.architecture import Architecture
from searchspace.modules import empty_network
from searchspace.support.errors import UserError
from searchspace.support.files import read_text
from searchspace.text import parse
from searchspace.weights import read_weights, save_weights

STATE = "state"
STEPS = "steps.jsonl"
FINALS = "finals.jsonl"


class Lineage:
    """The accepted steps of one run of the loop, in `name`.jsonl, and the weights of the last of them."""

    def __init__(self, folder: RunFolder, name: str = "steps") -> None:
        """Read what is there; raises UserError for a damaged line."""
        self._path = folder.file(f"{name}.jsonl")
        self._weights = folder.file(STATE) / name
        self.steps = [_step(entry, self._path) for entry in _entries(self._path)]

    def position(self, pricer: Pricer) -> Position | None:
        """Return the position after the last step, or None before the first."""
        if not self.steps:
            return None
        last = self.steps[-1]
        state = load_state_file(self._file(last.step))
        architecture = parse(last.architecture)
        return Position(last.step, architecture, Tuned(last.accuracy, last.score, state), pricer.price(architecture))

    def accept(self, step: Step, position: Position) -> None:
        """Keep a step and the weights it led to, and let go of the weights before them."""
        save_state_file(position.architecture, position.state, self._file(step.step))
        _append(self._path, asdict(step))
        self.steps.append(step)
        self._file(step.step - 1).unlink(missing_ok=True)

    def _file(self, step: int) -> Path:
        return self._weights.with_name(f"{self._weights.name}-{step:04d}.safetensors")


class Finals:
    """The final trainings done so far, by method, kind and seed, and the weights of the networks to be kept."""

    def __init__(self, folder: RunFolder) -> None:
        """Read what is there; raises UserError for a damaged line."""
        self._path, self._folder = folder.file(FINALS), folder.file(STATE)
        self.done: dict[tuple[str, str, int], FinalOutcome] = {}
        for entry in _entries(self._path):
            try:
                key = (entry["method"], entry["kind"], entry["seed"])
                self.done[key] = FinalOutcome(Accuracy(**entry["search"]), Accuracy(**entry["test"]), {})
            except (KeyError, TypeError) as error:
                raise UserError(f"{self._path} is damaged: {error}") from None

    def add(self, task: Final, outcome: FinalOutcome, *, keep: bool) -> None:
        """Keep an outcome, and with `keep` its weights."""
        if keep:
            save_state_file(task.architecture, outcome.state, self._file(task.kind, task.seed))
        accuracies = {"search": asdict(outcome.search), "test": asdict(outcome.test)}
        _append(self._path, {"method": task.method, "kind": task.kind, "seed": task.seed, **accuracies})
        self.done[key_of(task)] = FinalOutcome(outcome.search, outcome.test, {})

    def weights(self, kind: str, seed: int) -> dict[str, Tensor]:
        """Return the weights kept of one final training."""
        return load_state_file(self._file(kind, seed))

    def _file(self, kind: str, seed: int) -> Path:
        return self._folder / f"final-{kind.replace(' ', '-')}-{seed}.safetensors"


def key_of(task: Final) -> tuple[str, str, int]:
    """Return what tells a final training from the others."""
    return task.method, task.kind, task.seed


def save_state_file(architecture: Architecture, state: Mapping[str, Tensor], path: Path) -> None:
    """Write weights with the architecture they belong to, in one step."""
    network = empty_network(architecture)
    network.load_state_dict(dict(state))
    save_weights(network, path)


def load_state_file(path: Path) -> dict[str, Tensor]:
    """Return the weights of a file that `save_state_file` wrote."""
    _, state, _ = read_weights(path)
    return state


def _entries(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a file and cut a torn last one off."""
    if not path.exists():
        return []
    lines = read_text(path, "history").splitlines(keepends=True)
    entries, whole = [], 0
    for number, line in enumerate(lines, start=1):
        try:
            if not line.endswith("\n"):
                break
            entries.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise UserError(f"{path}, line {number}: not valid JSON ({error.msg}); the history is damaged") from None
        whole += len(line.encode())
    os.truncate(path, whole)
    return entries


def _append(path: Path, entry: Mapping[str, Any]) -> None:
    with path.open("ab", buffering=0) as file:
        file.write((json.dumps(entry, allow_nan=False) + "\n").encode())
        os.fsync(file.fileno())


def _step(entry: dict[str, Any], path: Path) -> Step:
    try:
        return Step(**{**entry, "tried": tuple(Tried(**tried) for tried in entry["tried"])})
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is not the history of a slimming run: {error}") from None
