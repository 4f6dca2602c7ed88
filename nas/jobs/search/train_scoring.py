"""Searching by training each proposed network for a few epochs from scratch: `--evaluator train`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nas.evaluators import Evaluator, TrainEvaluator
from nas.jobs.search.found import FoundNetwork
from nas.jobs.search.scoring import NetworkScore, Watch
from nas.jobs.search.supernet_scoring import SupernetScoring, open_scoring
from nas.objectives import Objective
from nas.runs.folder import RunFolder
from nas.supernets.settings import SupernetSettings
from nas.supernets.trained import TrainedSupernet
from searchspace.space import staged

if TYPE_CHECKING:
    from nas.data import Data


class TrainScoring(SupernetScoring):
    """Accuracy after `trial_epochs` epochs from scratch; the winner is trained from scratch too, for longer."""

    def __init__(self, settings: SupernetSettings, data: Data, space: str, trial_epochs: int) -> None:
        super().__init__(replace(settings, from_scratch=True), data, space)
        self._epochs = trial_epochs

    def evaluator(self, objective: Objective, folder: RunFolder, watch: Watch) -> TrainEvaluator:  # type: ignore[override]
        """Return what trains; a supernet stands by untrained, for the forms in which networks run on small images."""
        from searchspace.supernet import Supernet

        settings, space = self.settings, staged(objective.space)
        self._objective = objective
        size, classes = self.data.image_size, len(self.data.classes)
        self._trained = TrainedSupernet(Supernet(space, seed=settings.seed, classes=classes, image_size=size))
        return TrainEvaluator(
            space=space,
            data=settings.data,
            image_size=size,
            classes=classes,
            epochs=self._epochs,
            subset=settings.subset,
            seed=settings.seed,
            torch_device=settings.torch_device,
        )

    def keep_front(self, front: Sequence[FoundNetwork], folder: RunFolder, watch: Watch) -> None:
        """Do nothing: the weights of a trial are not kept."""

    def references(self, evaluator: Evaluator) -> tuple[NetworkScore, ...]:
        """Return none: training them is left to `nas train`."""
        return ()


def open_train_scoring(settings: SupernetSettings, space: str, trial_epochs: int) -> TrainScoring:
    """Load the images and return the scoring; raises UserError for whatever is wrong with them."""
    opened = open_scoring(settings, space)
    return TrainScoring(settings, opened.data, space, trial_epochs)
