"""NNI 3.0: the trials of a search by its local training service.

All that knows NNI is here, in `_nni_space`, `_nni_tuner` and in `nas.jobs.search.nni_trial`, the program that NNI
starts for each network.
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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nas.engines._in_process import InProcessEngine
from nas.engines._nni_space import to_nni
from nas.engines._nni_tuner import PURPOSE, TrialSource, make_tuner
from searchspace.choices import ChoiceSet
from searchspace.support.errors import UserError
from searchspace.support.optional import optional_import

_FIRST_PORT, _PORTS = 8080, 100
# Its stdin ends without a word when this process was killed: NNI's manager would run on for ever.
_GUARD = "import os, signal, sys; sys.stdin.read() or os.kill(int(sys.argv[1]), signal.SIGTERM)"


class NniEngine(InProcessEngine):
    """Runs each network as a trial of NNI's local training service, with its web portal open meanwhile."""

    one_network_a_trial = True

    def __init__(self, notice: Callable[[str], None] = lambda message: None) -> None:
        """Raise UserError, naming the extra, when NNI is missing."""
        super().__init__(notice)
        optional_import("nni", purpose=PURPOSE, extra="nni")
        optional_import("nni.experiment", purpose=PURPOSE, extra="nni")

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
    nni = optional_import("nni.experiment", purpose=PURPOSE, extra="nni")
    optional_import("nni.runtime.log", purpose=PURPOSE, extra="nni").silence_stdout()
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
    messages = optional_import("nni.runtime.msg_dispatcher", purpose=PURPOSE, extra="nni")
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
