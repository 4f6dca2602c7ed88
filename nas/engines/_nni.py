"""NNI 3.0: a space in its search-space form, the search loop as its tuner, trials by its local training service.

All that knows NNI is here and in `nas.jobs.search.nni_trial`, the program that NNI starts for each network.
"""

from __future__ import annotations

import logging
import math
import os
import shlex
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nas.engines._base import ATTEMPTS
from nas.engines._in_process import InProcessEngine
from searchspace.choices import Choice, ChoiceSet, Condition, Genotypes
from searchspace.support.errors import UserError
from searchspace.support.optional import optional_import

TOP1 = "default"  # the name under which NNI looks for the one figure that its portal draws
_WHEN = "_when"  # beside NNI's own _type and _value; its tuners leave it alone
_FIRST_PORT, _PORTS = 8080, 100
_PURPOSE = "--engine nni"
# Its stdin ends without a word when this process was killed: NNI's manager would run on for ever.
_GUARD = "import os, signal, sys; sys.stdin.read() or os.kill(int(sys.argv[1]), signal.SIGTERM)"


def to_nni(choices: ChoiceSet) -> dict[str, Any]:
    """Return a space in NNI's search-space form: each choice by its path, conditions beside it under `_when`."""
    return {choice.path: _entry(choice) for choice in choices.choices}


def from_nni(search_space: Mapping[str, Any]) -> ChoiceSet:
    """Return the choices that `to_nni` wrote; raises UserError for anything else than choices."""
    read = []
    for path, entry in search_space.items():
        if (
            not isinstance(entry, Mapping)
            or entry.get("_type") != "choice"
            or not isinstance(entry.get("_value"), list)
        ):
            raise UserError(f"{path} of the search space is {entry!r:.80}, expected _type choice and a list as _value")
        when = tuple(Condition(at, frozenset(map(_plain, values))) for at, values in entry.get(_WHEN, {}).items())
        read.append(Choice(path, tuple(map(_plain, entry["_value"])), when))
    return ChoiceSet(read)


def to_parameters(choices: ChoiceSet, genotype: Genotypes) -> dict[str, Any]:
    """Return one network, shape (choices,), as NNI's parameters: the values of its active choices, by path."""
    active = choices.active(genotype[None])[0]
    rows = zip(choices.choices, genotype.tolist(), active.tolist(), strict=True)
    return {choice.path: choice.values[index] for choice, index, matters in rows if matters}


def from_parameters(choices: ChoiceSet, parameters: Mapping[str, Any]) -> Genotypes:
    """Return the genotype, shape (choices,), of NNI's parameters; values of inactive choices are let go.

    Raises UserError for a choice that the space does not have, a value it does not take, or an active choice left out.
    """
    unknown = sorted(set(parameters) - set(choices.index))
    if unknown:
        raise UserError(f"the space has no choice {unknown[0]!r:.60}; its choices are {', '.join(choices.index):.200}")
    genotype = np.zeros(len(choices.choices), dtype=np.uint8)
    for i, choice in enumerate(choices.choices):
        if choice.path in parameters:
            value = _plain(parameters[choice.path])
            if value not in choice.values:
                raise UserError(f"{choice.path} is {value!r:.60}, expected one of {choice.values}")
            genotype[i] = choice.values.index(value)
    for choice, matters in zip(choices.choices, choices.active(genotype[None])[0].tolist(), strict=True):
        if matters and choice.path not in parameters:
            raise UserError(f"{choice.path} is left out and decides the network: give one of {choice.values}")
    checked: Genotypes = choices.check(genotype)[0]
    return checked


def _entry(choice: Choice) -> dict[str, Any]:
    entry: dict[str, Any] = {"_type": "choice", "_value": list(choice.values)}
    if choice.when:
        entry[_WHEN] = {one.path: sorted(one.values) for one in choice.when}
    return entry


def _plain(value: Any) -> Any:
    """Return a value of a space for one of JSON."""
    return tuple(value) if isinstance(value, list) else value


class TrialSource(Protocol):
    """Gives networks one at a time and takes what came of them in any order."""

    @property
    def finished(self) -> bool:
        """Whether everything has been evaluated."""
        ...

    def next(self, trial: str) -> Genotypes | None:
        """Return the network, shape (choices,), that a trial is to score; None while there is none."""
        ...

    def scored(self, trial: str, top1: float) -> None:
        """Take the top-1 in percent of a trial."""
        ...

    def failed(self, trial: str, message: str) -> None:
        """Take that a trial has failed for good."""
        ...


def make_tuner(choices: ChoiceSet, source: TrialSource, notice: Callable[[str], None] = lambda message: None) -> Any:
    """Return an `nni.tuner.Tuner` that hands out what the source gives and tells it what came of it.

    Its event `ended` is set when everything is evaluated or the source raised, which is then in `refused`. A trial that
    fails is started again, `ATTEMPTS` times in all. Raises UserError when NNI is missing.
    """
    base: Any = optional_import("nni.tuner", purpose=_PURPOSE, extra="nni").Tuner

    class LoopTuner(base):  # type: ignore[misc]
        """Gives the networks of a search to NNI; calls may come from several threads."""

        def __init__(self) -> None:
            super().__init__()
            self.ended = threading.Event()
            self.refused: BaseException | None = None
            self._lock = threading.RLock()
            # NNI hands parameters out in turn: after a trial that died before it asked, the next one gets its number.
            self._trial_of: dict[int, str] = {}
            self._pending: dict[str, dict[str, Any]] = {}
            self._again: deque[str] = deque()
            self._losses: dict[str, int] = {}
            self._unanswered: deque[int] = deque()
            self._send: Callable[[int, dict[str, Any]], None] | None = None

        def update_search_space(self, search_space: Mapping[str, Any]) -> None:
            """Raise UserError for another space than that of the search."""
            if from_nni(search_space).choices != choices.choices:
                raise UserError("the search space is not that of the search: it cannot be changed on the way")

        def generate_multiple_parameters(
            self, parameter_id_list: Sequence[int], st_callback: Any = None, **_: Any
        ) -> list[dict[str, Any]]:
            """Return a network for each id; for ids that are left it comes later, by `st_callback`."""
            with self._lock:
                self._send = st_callback
                made: list[dict[str, Any]] = []
                for position, parameter_id in enumerate(parameter_id_list):
                    parameters = self._next(parameter_id)
                    if parameters is None:
                        self._unanswered.extend(parameter_id_list[position:])
                        break
                    made.append(parameters)
                return made

        def receive_trial_result(self, parameter_id: int, parameters: Any, value: Any, **_: Any) -> None:
            """Tell the source of a trial's top-1."""
            with self._lock:
                trial = self._trial_of.get(parameter_id, "")
                if self._pending.pop(trial, None) is not None:
                    self._again = deque(one for one in self._again if one != trial)
                    top1 = float(value[TOP1] if isinstance(value, Mapping) else value)
                    self._guarded(lambda: source.scored(trial, top1))
                    self._answer()

        def trial_end(self, parameter_id: int, success: bool, **_: Any) -> None:
            """Start a trial that failed again, or tell the source that it has failed for good."""
            with self._lock:
                trial = self._trial_of.get(parameter_id, "")
                if trial not in self._pending or trial in self._again:
                    return
                self._losses[trial] = count = self._losses.get(trial, 0) + (not success)
                if count < ATTEMPTS:
                    if not success:
                        notice(f"an NNI trial failed (number {parameter_id}): starting it again")
                    self._again.append(trial)
                else:
                    del self._pending[trial]
                    notice(f"an NNI trial failed (number {parameter_id}): given up after {count} attempts")
                    self._guarded(lambda: source.failed(trial, "its NNI trials failed; see their stderr in folder nni"))
                self._answer()

        def stop(self) -> None:
            """Give nothing more to the source, and nothing of it: waits for a call that is under way."""
            with self._lock:
                self._pending.clear()
                self.ended.set()

        def _next(self, parameter_id: int) -> dict[str, Any] | None:
            if self.ended.is_set():
                return None
            if self._again:
                self._trial_of[parameter_id] = trial = self._again.popleft()
                return self._pending[trial]
            trial = str(parameter_id)
            genotype = self._guarded(lambda: source.next(trial))
            if source.finished:
                self.ended.set()
            if genotype is None:
                return None
            self._trial_of[parameter_id] = trial
            self._pending[trial] = to_parameters(choices, genotype)
            return self._pending[trial]

        def _answer(self) -> None:
            """Answer the questions that are still open, as far as there are networks."""
            if source.finished:
                self.ended.set()
            while self._unanswered and self._send is not None:
                parameters = self._next(self._unanswered[0])
                if parameters is None:
                    return
                self._send(self._unanswered.popleft(), parameters)

        def _guarded(self, call: Callable[[], Any]) -> Any:
            try:
                return call()
            except BaseException as error:  # of another thread than the one that waits: raised again there
                self.refused = error
                self.ended.set()
                return None

    return LoopTuner()


class NniEngine(InProcessEngine):
    """Runs each network as a trial of NNI's local training service, with its web portal open meanwhile."""

    one_network_a_trial = True

    def __init__(self, notice: Callable[[str], None] = lambda message: None) -> None:
        """Raise UserError, naming the extra, when NNI is missing."""
        super().__init__(notice)
        optional_import("nni", purpose=_PURPOSE, extra="nni")
        optional_import("nni.experiment", purpose=_PURPOSE, extra="nni")

    def run_trials(
        self,
        source: TrialSource,
        choices: ChoiceSet,
        place: Path,
        program: Sequence[str],
        *,
        at_once: int,
        timeout_s: float | None = None,
    ) -> None:
        """Run trials until the source is finished; NNI's files go to the folder `nni` of `place`.

        `program` is a module of Python with its arguments: it asks NNI for the parameters of a network and reports its
        top-1 in percent. Raises what the source raises, and UserError when NNI does not start or stops on the way.
        """
        tuner = make_tuner(choices, source, self._notice)
        experiment = _experiment(choices, place, program, at_once=at_once, timeout_s=timeout_s)
        guard: subprocess.Popen[str] | None = None
        try:
            dispatcher = _start(experiment, tuner)
            guard = _ended_with_this(experiment._proc.pid)
            self._notice(f"NNI web portal: http://127.0.0.1:{experiment.port} (open while the search runs)")
            while not tuner.ended.wait(timeout=1.0):
                if experiment._proc is None or experiment._proc.poll() is not None or dispatcher.worker_exceptions:
                    raise UserError(f"NNI stopped on the way; its log is in {place / 'nni' / experiment.id / 'log'}")
        finally:
            tuner.stop()
            experiment.stop()
            if guard is not None:
                guard.communicate("stopped")
        if tuner.refused is not None:
            raise tuner.refused


def _experiment(
    choices: ChoiceSet, place: Path, program: Sequence[str], *, at_once: int, timeout_s: float | None
) -> Any:
    nni = optional_import("nni.experiment", purpose=_PURPOSE, extra="nni")
    optional_import("nni.runtime.log", purpose=_PURPOSE, extra="nni").silence_stdout()
    logging.getLogger("nni").propagate = False
    folder = place.resolve() / "nni"
    code = folder / "code"  # NNI copies this folder for the trials: they need nothing of it
    code.mkdir(parents=True, exist_ok=True)
    experiment = nni.Experiment("local")
    config = experiment.config
    config.experiment_name = place.resolve().name
    config.experiment_working_directory = str(folder)
    config.search_space = to_nni(choices)
    config.trial_code_directory = str(code)
    config.trial_command = _command(program)
    config.trial_concurrency = at_once
    config.tuner.name, config.tuner.class_name, config.tuner.code_directory = None, "LoopTuner", str(code)
    if timeout_s is not None:
        config.max_trial_duration = f"{math.ceil(timeout_s)}s"
    return experiment


def _command(program: Sequence[str]) -> str:
    """Return the shell command of a trial: this Python, and this package also where it is no installed one."""
    root = shlex.quote(str(Path(__file__).parents[2]))
    return f'PYTHONPATH={root}"${{PYTHONPATH:+:$PYTHONPATH}}" {shlex.join([sys.executable, "-m", *program])}'


def _start(experiment: Any, tuner: Any) -> Any:
    """Start NNI's manager on a free port and join it as its tuner; raises UserError when it does not start."""
    messages = optional_import("nni.runtime.msg_dispatcher", purpose=_PURPOSE, extra="nni")
    port = _free_port()
    channel = f"ws://localhost:{port}/tuner"
    try:
        experiment._start_logging(False)
        experiment._start_nni_manager(port, False, tuner_command_channel=channel)
        dispatcher = messages.MsgDispatcher(channel, tuner)
    except Exception as error:
        raise UserError(f"NNI did not start: {type(error).__name__}: {error}. Use --engine in-process") from error
    threading.Thread(target=dispatcher.run, name="nni tuner", daemon=True).start()
    return dispatcher


def _ended_with_this(process_id: int) -> subprocess.Popen[str]:
    """Start what ends a process when this one is gone, in a session of its own; any word to it calls it off."""
    words = [sys.executable, "-c", _GUARD, str(process_id)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, text=True, start_new_session=True)


def _free_port() -> int:
    for port in range(_FIRST_PORT, _FIRST_PORT + _PORTS):
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as NNI's server: just left is free
            try:
                one.bind(("", port))
            except OSError:
                continue
            return port
    raise UserError(f"no port from {_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1} is free for NNI's web portal")


def trials_at_once(batch: int) -> int:
    """Return how many trials of a batch run at the same time here."""
    return min(batch, os.cpu_count() or 1)
