"""Searching with a supernet trained on images: the scoring of `nas search --data`.

A supernet of the space is trained, its networks are scored with shared weights on the search split, and the winner is
extracted and fine-tuned (or trained from scratch), tested once on the test split, and exported. Every part goes on
where it stopped: the trainings from their checkpoints, the search from its journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.evaluators import Evaluator, SupernetEvaluator
from nas.jobs.search.found import FoundNetwork
from nas.jobs.search.scoring import NetworkScore, TrainingStage, Watch
from nas.jobs.search.settings import IMAGE_PARALLEL
from nas.objectives import Objective, Values
from nas.runs.folder import FRONT_WEIGHTS, RunFolder, front_file
from nas.strategies import Learnt
from nas.supernets.settings import DIFFERENTIABLE, SupernetSettings
from nas.supernets.trained import TrainedSupernet, checkpoints, compiled_costs, trained_supernet
from nas.training.tensorboard import TENSORBOARD, tensorboard_logs
from searchspace.reference import reference, reference_names
from searchspace.space import SearchSpace, staged

if TYPE_CHECKING:
    from nas.data import Data
    from nas.export import AccuracyCheck, ExportRecord, Usage
    from nas.supernets.differentiable import ArchitectureLogits
    from nas.supernets.pretrained import Pretrained
    from nas.weights import Weights
    from searchspace.modules import Network

WINNER = "winner.pt"
EXPORT_CHECK_IMAGES = 256


class SupernetScoring:
    """Accuracy on the user's images; see `nas.jobs.search.scoring.Scoring` for what a search asks of it."""

    batch = IMAGE_PARALLEL  # a network takes a good part of a second
    trains = slow = True
    rows = None

    def __init__(
        self, settings: SupernetSettings, data: Data, space: str = "mobile", weights: Weights | None = None
    ) -> None:
        self.settings = settings
        self.data = data
        self.space = space
        self.weights = weights
        self._pretrained: Pretrained | None = None
        self._trained: TrainedSupernet | None = None
        self._objective: Objective | None = None
        self._change: str | None = None
        self._check: AccuracyCheck | None = None

    def scorable(self, space: SearchSpace) -> SearchSpace:
        """Return the space with as many classes as the data set has: any network can be trained."""
        return space.with_classes(len(self.data.classes))

    @property
    def learnt(self) -> Learnt | None:
        """What gives the probabilities that differentiable training has learnt, after `evaluator`."""
        return self._probabilities if self.settings.mode == DIFFERENTIABLE else None

    def _probabilities(self) -> list[Values]:
        assert self._trained is not None and self._trained.logits is not None
        return self._trained.logits.probabilities()

    def evaluator(self, objective: Objective, folder: RunFolder, watch: Watch) -> SupernetEvaluator:
        """Train the supernet, or take up its training, and return what scores with it."""
        settings, space = self.settings, staged(objective.space)
        if self.weights is not None:
            self._pretrained = self._fitted(self.weights, folder, watch)
        epochs = settings.epochs_over(len(self.data.train))
        with watch.stage(f"Training the supernet on {len(self.data.train):,} images") as report:
            observer = TrainingStage(report, epochs, tensorboard_logs(folder.file(TENSORBOARD) / "supernet"))
            trained = trained_supernet(
                space,
                self.data,
                settings,
                folder,
                observer=observer,
                objective=objective,
                pretrained=self._pretrained,
            )
        self._trained, self._objective = trained, objective
        trained_by = f"{settings.mode} training, {epochs} epochs of {len(self.data.train):,} images"
        facts = {"supernet": trained_by if settings.start is None else f"that of {settings.start}; then {trained_by}"}
        if self._pretrained is not None and trained.started is not None:
            facts["pretrained"] = f"{self._pretrained.origin}; {trained.started}"
        if trained.logits is not None:
            facts["architecture learnt"] = _learnt_fact(trained.logits, objective)
        return SupernetEvaluator(
            trained.supernet, self.data, seed=settings.seed, search_images=settings.search_images, facts=facts
        )

    def _fitted(self, weights: Weights, folder: RunFolder, watch: Watch) -> Pretrained:
        """Fine-tune the pretrained network, or take up its fine-tuning."""
        from nas.supernets.pretrained import fitted
        from nas.training.execution import default_execution

        settings = self.settings
        with watch.stage(f"Fine-tuning the pretrained network on {len(self.data.train):,} images") as report:
            observer = TrainingStage(
                report, settings.teacher_epochs, tensorboard_logs(folder.file(TENSORBOARD) / "teacher")
            )
            execution = default_execution(settings.torch_device)
            return fitted(weights, self.space, self.data, settings, folder, execution=execution, observer=observer)

    def keep_front(self, front: Sequence[FoundNetwork], folder: RunFolder, watch: Watch) -> None:
        """Write each network of the front with the shared weights that were scored, by its row of the front."""
        import torch

        from nas.supernets.training import calibration_batches, extracted
        from searchspace.weights import save_weights

        assert self._trained is not None
        folder.file(FRONT_WEIGHTS).mkdir(exist_ok=True)
        with watch.stage("Keeping the weights of the front") as report:
            calibration = calibration_batches(self.data, self.settings.seed)
            for row, found in enumerate(front, start=1):
                network = extracted(self._trained.supernet, np.array(found.genotype, dtype=np.uint8), calibration)
                network.to(device="cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
                notes = self.usage(network).file_notes()
                save_weights(network, folder.file(FRONT_WEIGHTS) / front_file(row), data=self.settings.data, **notes)
                report(row, len(front))

    def references(self, evaluator: Evaluator) -> tuple[NetworkScore, ...]:
        """Return the reference networks of the space that the weights learnt for: within the ceiling."""
        assert isinstance(evaluator, SupernetEvaluator) and self._objective is not None
        space = evaluator.supernet.space
        known = {name: reference(name).with_classes(space.spec.classes) for name in reference_names()}
        members = {name: space.encode(network)[None] for name, network in known.items() if network in space}
        return tuple(
            NetworkScore(name, known[name], float(evaluator.top1(genotype)[0]))
            for name, genotype in members.items()
            if self._objective.affordable(genotype)[0]
        )

    def network(self, winner: FoundNetwork, folder: RunFolder, watch: Watch) -> tuple[Network, bool]:
        """Return the winner trained: from the supernet's weights, or from scratch."""
        import torch

        from nas.training.distillation import Teacher, distilled_step
        from nas.training.execution import default_execution
        from nas.training.loop import train
        from nas.training.recipes import fine_tune, short
        from nas.training.resolution import change_of_form
        from nas.training.step import TakeStep, training_step
        from searchspace.modules import build_network
        from searchspace.weights import WEIGHTS_FILE, save_weights

        assert self._trained is not None
        settings, supernet = self.settings, self._trained.supernet
        assert self._objective is not None
        table = compiled_costs(self._objective)[0].table
        given, genotype = winner.architecture, np.array(winner.genotype, dtype=np.uint8)
        self._change = change_of_form(given, given, supernet.run_form(genotype), table)
        if settings.from_scratch:
            network = build_network(supernet.runs_as(genotype), seed=settings.seed)
        else:
            network = supernet.extract(genotype)  # the weights that were scored: an architecture may have others too
        start = "from scratch" if settings.from_scratch else "from the supernet's weights"
        take_step: TakeStep = training_step
        recipe = short(settings.winner_epochs)
        taught = ""
        if self._pretrained is not None:
            recipe = fine_tune(settings.winner_epochs)
            if settings.teacher_share:
                teacher = Teacher(self._pretrained.network, settings.teacher_share)
                take_step = distilled_step(teacher)
                taught = f", taught by {self._pretrained.origin}, share {settings.teacher_share:g}"
        with watch.stage(f"Training the network found, {start}") as report:
            train(
                network,
                self.data.at_size(network.architecture.resolution),
                recipe,
                seed=settings.seed,
                execution=default_execution(settings.torch_device),
                checkpoints=checkpoints(folder, WINNER),
                observer=TrainingStage(
                    report, settings.winner_epochs, tensorboard_logs(folder.file(TENSORBOARD) / "winner")
                ),
                identity={"architecture": str(network.architecture), "start": f"{start}{taught}"},
                take_step=take_step,
            )
        network.to(device="cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        notes = self.usage(network).file_notes()
        save_weights(network, folder.file(WEIGHTS_FILE), data=settings.data, recipe=recipe.name, **notes)
        return network, True

    def usage(self, network: Network) -> Usage:
        """Return how the data set's images are prepared and what its classes are called."""
        from nas.export import Usage

        data = self.data.at_size(network.architecture.resolution)
        return Usage.of_data(data, f"trained on {self.settings.data}")

    def export(self, network: Network, path: Path, precision: str, usage: Usage, seed: int) -> ExportRecord:
        """Write the trained winner, compared with torch on test images; int8 ranges come from training images."""
        from nas.data import sample
        from nas.export import calibration_from, export_trained

        size = network.architecture.resolution
        images, labels = sample(self.data.at_size(size).test_split(), EXPORT_CHECK_IMAGES, self.settings.seed)
        calibration = calibration_from(self.data, size, self.settings.seed) if precision == "int8" else None
        record, self._check = export_trained(
            network,
            path,
            images.numpy(),
            labels.numpy(),
            precision=precision,
            calibration=calibration,
            usage=usage,
            seed=seed,
        )
        return record

    def findings(self, network: Network) -> Mapping[str, Any]:
        """Test the trained network, once, and return what goes into `result.json`, the exported file's check too."""
        from nas.export import preparation_of
        from nas.training.evaluation import chance_warning, evaluate, evaluated_on_test

        data = self.data.at_size(network.architecture.resolution)
        tested = data.test_split()
        accuracy = evaluate(network, tested.batches(256))
        found: dict[str, Any] = {
            "data": self.settings.data,
            "image_size": network.architecture.resolution,
            "preparation": preparation_of(data).as_dict(),
            "runs_as": str(network.architecture),
            "evaluated": evaluated_on_test(network.architecture, self.settings.data),
            "test": asdict(accuracy),
            "change": self._change,
            "warnings": [warning for warning in (chance_warning(accuracy, len(self.data.classes)),) if warning],
        }
        if self._check is not None:
            found["export_check"] = asdict(self._check)
        return found


def open_scoring(settings: SupernetSettings, space: str = "mobile") -> SupernetScoring:
    """Load the images for the networks of a space, at its largest resolution, and return the scoring.

    Raises UserError for whatever is wrong with the images, the space or the settings.
    """
    from nas.supernets.modes import check_mode
    from nas.supernets.pretrained import open_images

    check_mode(settings.mode, DIFFERENTIABLE)
    data, weights = open_images(settings, space)
    return SupernetScoring(settings, data, space, weights)


def _learnt_fact(logits: ArchitectureLogits, objective: Objective) -> str:
    """Say what was learnt: the most likely network's latency, and how sure the choices are."""
    (latency_ms,) = objective.cost.latency_ms(logits.most_likely()[None])
    surest = [float(part.max()) for part in logits.probabilities()]
    sure = f"{min(surest):.2f} to {max(surest):.2f}, {sum(surest) / len(surest):.2f} on average"
    return f"the most likely network is predicted at {latency_ms:.1f} ms; its choices have probabilities of {sure}"
