"""The loop of a search as NNI's tuner: it gives out networks and takes what came of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from nas.engines._base import ATTEMPTS
from nas.engines._nni_space import from_nni, to_parameters
from searchspace.choices import ChoiceSet, Genotypes
from searchspace.support.errors import UserError
from searchspace.support.optional import optional_import

PURPOSE = "--engine nni"
TOP1 = "default"  # the name under which NNI looks for the one figure that its portal draws


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
    base: Any = optional_import("nni.tuner", purpose=PURPOSE, extra="nni").Tuner

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
