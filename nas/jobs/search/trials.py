"""Scoring the networks of a search on an engine: what fails is noted and tried again, and the search goes on.

`Trials` is an evaluator around another one, so the search loop does not know where its networks are scored. A network
that takes long is a task of its own, and what it got is written to `trials.jsonl` at once: an interrupted batch loses
only what was running. Quick scores go in chunks, of which only failures are noted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from nas.engines import ATTEMPTS, Engine, Failure
from nas.evaluators import Evaluator, check_top1
from nas.objectives import Values
from searchspace.choices import Genotypes
from searchspace.support.errors import UserError
from searchspace.support.log import Log, LogKind
from searchspace.support.quantities import milliseconds

TRIALS = "trials.jsonl"
KIND = LogKind(format="search-trials/1", name="log of trials")


@dataclass(frozen=True, kw_only=True)
class TrialOptions:
    """Where and how networks are scored; none of it decides the result.

    A task that takes longer than `timeout_s` seconds is ended and tried again. `per_network` makes each network a task
    of its own, on workers that keep the evaluator, with `threads` threads of torch (None: torch is not used).
    """

    per_network: bool = False
    threads: int | None = None
    timeout_s: float | None = None


@dataclass(frozen=True)
class Scored:
    """What came of one task: top-1 of its networks, or None after the last failure, and every failure on the way.

    `stopped` is the epoch after which a training was stopped early.
    """

    top1: tuple[float, ...] | None
    failures: tuple[Failure, ...] = ()
    stopped: int | None = None


class Trials:
    """An evaluator whose networks are scored on an engine; NaN is a network that failed every time."""

    may_fail = True

    def __init__(
        self,
        evaluator: Evaluator,
        engine: Engine,
        place: Path,
        options: TrialOptions,
        *,
        latency_ms: Callable[[Genotypes], Values] | None = None,
        changed: Callable[[Trials], None] = lambda trials: None,
    ) -> None:
        """Take up the log in the folder `place`; `changed` is told whenever a task has ended.

        `latency_ms` gives the predicted latency that the tasks' names show. Raises UserError for a damaged log.
        """
        self.evaluator, self.engine, self.options = evaluator, engine, options
        self._latency_ms, self._changed = latency_ms, changed
        self._log = _TrialLog(place / TRIALS, evaluator)
        self._known = self._log.known() if options.per_network else {}
        self.queue = self.scored = 0
        self.failures = self._log.failures
        self.last_failure: Failure | None = None

    @property
    def label(self) -> str:
        """What the scores are."""
        return self.evaluator.label

    @property
    def fingerprint(self) -> str:
        """What decides the scores: the evaluator alone."""
        return self.evaluator.fingerprint

    @property
    def basis(self) -> Mapping[str, str]:
        """What the scores rest on."""
        return self.evaluator.basis

    def top1(self, genotypes: Genotypes) -> Values:
        """Return top-1 in percent, shape (n,), NaN where every attempt failed."""
        keys = [row.tobytes() for row in genotypes]
        top1 = np.array([self._known.get(key, (math.nan, None))[0] for key in keys])
        left = np.array([i for i, key in enumerate(keys) if key not in self._known], dtype=np.intp)
        parts = self._parts(left)
        self.queue = len(left)

        def done(index: int, scored: Scored) -> None:
            part = parts[index]
            self.note(genotypes[part], scored)
            if scored.top1 is not None:
                top1[part] = scored.top1

        earlier: dict[int, tuple[Failure, ...]] = {}

        def lost(index: int, failure: Failure, last: bool) -> Scored:
            earlier[index] = (*earlier.get(index, ()), failure)
            return Scored(None, earlier[index])

        self.engine.map(
            score,
            [Task(genotypes[part], self.options.threads) for part in parts],
            names=[self.name(genotypes[part]) for part in parts],
            shared=self.evaluator,
            done=lambda index, scored: done(index, _with(scored, earlier.get(index, ()))),
            timeout_s=self.options.timeout_s,
            lost=lost,
            held=self.options.per_network,
        )
        return top1

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _parts(self, rows: Values | Any) -> list[Any]:
        if not len(rows):
            return []
        size = 1 if self.options.per_network else math.ceil(len(rows) / self.engine.slots)
        return [rows[i : i + size] for i in range(0, len(rows), size)]

    def name(self, genotypes: Genotypes) -> str:
        """Return what the engine's dashboard calls a task."""
        if len(genotypes) > 1 or self._latency_ms is None:
            return f"{len(genotypes)} networks"
        return f"network {short_name(genotypes[0])}, {milliseconds(self._latency_ms(genotypes)[0])} ms"

    def known(self, genotype: Genotypes) -> tuple[float, int | None] | None:
        """Return the top-1 of a network that earlier work scored, and the epoch at which it was stopped early."""
        return self._known.get(genotype.tobytes())

    def note(self, genotypes: Genotypes, scored: Scored) -> None:
        """Note what came of a task, and tell who watches."""
        self.queue -= len(genotypes)
        self.scored += len(genotypes)
        self.failures += len(scored.failures)
        if scored.failures:
            self.last_failure = scored.failures[-1]
        if self.options.per_network or scored.failures:
            self._log.append(genotypes, scored, keep=self.options.per_network)
        self._changed(self)


def _with(scored: Scored, lost: tuple[Failure, ...]) -> Scored:
    return scored if scored.failures[: len(lost)] == lost else Scored(scored.top1, (*lost, *scored.failures))


def short_name(genotype: Genotypes) -> str:
    """Return six letters that tell one network of a space from another in lists for people."""
    import hashlib

    return hashlib.sha256(genotype.tobytes()).hexdigest()[:6]


@dataclass(frozen=True)
class Task:
    """Networks to score, shape (n, choices), with so many threads of torch (None: it is not used)."""

    genotypes: Genotypes
    threads: int | None


def score(evaluator: Evaluator, task: Task) -> Scored:
    """Score networks, trying again what raises or is no percentage; runs on the engine's workers."""
    failures: list[Failure] = []
    while len(failures) < ATTEMPTS:
        try:
            with _threads(task.threads):
                top1 = evaluator.top1(task.genotypes)
        except UserError as error:  # says what is wrong with the network or its training: it would again
            return Scored(None, (*failures, Failure("raised", str(error)[:300])))
        except Exception as error:
            memory = isinstance(error, MemoryError) or "out of memory" in str(error).lower()
            kind = "out of memory" if memory else "raised"
            failures.append(Failure(kind, f"{type(error).__name__}: {error}"[:300]))
            continue
        try:
            check_top1(top1, len(task.genotypes))
        except ValueError as error:
            failures.append(Failure("not a number", str(error)))
            continue
        return Scored(tuple(top1.tolist()), tuple(failures))
    return Scored(None, tuple(failures))


def _threads(threads: int | None) -> Any:
    if threads is None:
        return nullcontext()
    from nas.training.execution import thread_limit

    return thread_limit(threads)


@dataclass
class _TrialLog:
    """The log of trials, begun with the first entry."""

    path: Path
    evaluator: Evaluator
    failures: int = 0
    _log: Log | None = field(default=None)

    def __post_init__(self) -> None:
        if self.path.exists():
            self.failures = sum(len(entry.document.get("failures", ())) for entry in self._opened().entries)

    def known(self) -> dict[bytes, tuple[float, int | None]]:
        """Return the top-1 of the networks that earlier work scored, and where it stopped, by genotype."""
        if self._log is None:
            return {}
        documents = (entry.document for entry in self._log.entries)
        return {
            bytes.fromhex(one["genotypes"]): (one["top1"][0], one.get("stopped"))
            for one in documents
            if one.get("top1") and len(one["top1"]) == 1
        }

    def append(self, genotypes: Genotypes, scored: Scored, *, keep: bool) -> None:
        """Note what came of a task; its scores only where they are to be kept."""
        document: dict[str, Any] = {"genotypes": genotypes.astype(np.uint8).tobytes().hex()}
        if keep or scored.top1 is None:
            document["top1"] = None if scored.top1 is None else list(scored.top1)
        if scored.stopped is not None:
            document["stopped"] = scored.stopped
        if scored.failures:
            document["failures"] = [{"kind": one.kind, "message": one.message} for one in scored.failures]
        self._opened().append(document)

    def close(self) -> None:
        if self._log is not None:
            self._log.close()

    def _opened(self) -> Log:
        if self._log is None:
            self._log = Log.open(KIND, self.path, {"evaluator_sha256": self.evaluator.fingerprint})
        return self._log
