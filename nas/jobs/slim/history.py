"""What a slimming run remembers while it runs, so that one killed at any moment goes on to the same result.

Steps and final trainings are lines of a log. The weights of a step are written, in one step, before its line: a line
without its weights cannot be, and weights without a line are simply made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from nas.jobs.slim.tuning import Final, FinalOutcome
from nas.runs import RunFolder
from nas.training.evaluation import Accuracy
from netadapt.iterations import Position, Step, Tried, Tuned
from netadapt.resources import Pricer
from searchspace.architecture import Architecture
from searchspace.modules import empty_network
from searchspace.support.log import HEADERLESS, Entry, Log, LogKind, damaged, read_log
from searchspace.text import parse
from searchspace.weights import read_weights, save_weights

STATE = "state"
FINALS = "finals.jsonl"
KIND = LogKind(format="slimming-history/1", name="slimming history", older=(HEADERLESS,))


class Lineage:
    """The accepted steps of one run of the loop, in `name`.jsonl, and the weights of the last of them."""

    def __init__(self, folder: RunFolder, name: str = "steps") -> None:
        """Read what is there; raises UserError for a damaged line."""
        self._log = Log.open(KIND, folder.file(f"{name}.jsonl"), folder.settings)
        self._weights = folder.file(STATE) / name
        self.steps = [_step(entry, self._log.path) for entry in self._log.entries]

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
        self._log.append(asdict(step))
        self.steps.append(step)
        self._file(step.step - 1).unlink(missing_ok=True)

    def _file(self, step: int) -> Path:
        return self._weights.with_name(f"{self._weights.name}-{step:04d}.safetensors")


def read_steps(folder: RunFolder, name: str = "steps") -> tuple[Step, ...]:
    """Return the accepted steps of a run of the loop without touching its log; raises UserError for a damaged line."""
    path = folder.file(f"{name}.jsonl")
    return tuple(_step(entry, path) for entry in read_log(KIND, path)[1])


def read_finals(folder: RunFolder) -> dict[tuple[str, str, int], FinalOutcome]:
    """Return the final trainings of a run without touching their log; raises UserError for a damaged line."""
    path = folder.file(FINALS)
    return dict(_final(entry, path) for entry in read_log(KIND, path)[1])


class Finals:
    """The final trainings done so far, by method, kind and seed, and the weights of the networks to be kept."""

    def __init__(self, folder: RunFolder) -> None:
        """Read what is there; raises UserError for a damaged line."""
        self._log, self._folder = Log.open(KIND, folder.file(FINALS), folder.settings), folder.file(STATE)
        self.done = dict(_final(entry, self._log.path) for entry in self._log.entries)

    def add(self, task: Final, outcome: FinalOutcome, *, keep: bool) -> None:
        """Keep an outcome, and with `keep` its weights."""
        if keep:
            save_state_file(task.architecture, outcome.state, self._file(task.kind, task.seed))
        accuracies = {"search": asdict(outcome.search), "test": asdict(outcome.test)}
        self._log.append({"method": task.method, "kind": task.kind, "seed": task.seed, **accuracies})
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


def _final(entry: Entry, path: Path) -> tuple[tuple[str, str, int], FinalOutcome]:
    found = entry.document
    try:
        key = (found["method"], found["kind"], found["seed"])
        return key, FinalOutcome(Accuracy(**found["search"]), Accuracy(**found["test"]), {})
    except (KeyError, TypeError) as error:
        raise damaged(KIND, path, entry.line, f"not a final training ({error})") from None


def _step(entry: Entry, path: Path) -> Step:
    found = entry.document
    try:
        return Step(**{**found, "tried": tuple(Tried(**tried) for tried in found["tried"])})
    except (KeyError, TypeError) as error:
        raise damaged(KIND, path, entry.line, f"not a step of slimming ({error})") from None
