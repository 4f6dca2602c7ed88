"""How well a supernet ranks networks, beside how well their size or latency alone would.

The truth is either a file of published accuracies or stand-alone trainings of a fixed set of networks on the same
images. Every score is reported with a bootstrap interval, over all networks and within the best tenth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.evaluators import SupernetEvaluator
from nas.jobs.rank.files import write_files
from nas.jobs.rank.settings import RankSettings
from nas.jobs.rank.truth import NETWORKS_SEED, Truth, published
from nas.jobs.search.scoring import Report, TrainingStage, Watch
from nas.runs.folder import RunFolder
from nas.supernets.trained import trained_supernet
from nas.training.tensorboard import TENSORBOARD, tensorboard_logs
from searchspace.choices import Genotypes
from searchspace.space import SearchSpace, load_space
from searchspace.support.log import HEADERLESS, Entry, Log, LogKind, damaged

if TYPE_CHECKING:
    from latency_lut import LatencyTable
    from nas.data import Data
    from nas.supernets.pretrained import Pretrained
    from nas.weights import Weights
    from searchspace.supernet import Supernet

SCORES = "scores.jsonl"
KIND = LogKind(format="rank-scores/1", name="log of scores", older=(HEADERLESS,))


@dataclass(frozen=True)
class RankInputs:
    """What a ranking reads: images, space, latency table and, where a file gives them, the accuracies."""

    data: Data
    space: SearchSpace
    table: LatencyTable
    known: Truth | None
    weights: Weights | None = None


def open_inputs(settings: RankSettings) -> RankInputs:
    """Open all that the settings name; raises UserError for whatever is wrong with it, before anything is written."""
    from latency_lut.devices import load_device
    from nas.supernets.modes import check_mode
    from nas.supernets.pretrained import open_images

    table = load_device(settings.device)
    space = load_space(settings.space)
    check_mode(settings.supernet.mode)
    data, weights = open_images(settings.supernet, settings.space)
    space = space.with_classes(len(data.classes))
    known = published(settings.against, space, settings.networks) if settings.against else None
    return RankInputs(data, space, table, known, weights)


def rank(settings: RankSettings, inputs: RankInputs, folder: RunFolder, watch: Watch | None = None) -> dict[str, Any]:
    """Train the supernet, find the truth, compare, and write everything into the folder; return the result.

    An interrupted run goes on where it stopped.
    """
    images, data, space, known = settings.supernet, inputs.data, inputs.space, inputs.known
    watch = watch or Watch()
    pretrained = None if inputs.weights is None else _fitted(settings, inputs.weights, data, folder, watch)
    epochs = images.epochs_over(len(data.train))
    with watch.stage(f"Training the supernet on {len(data.train):,} images") as report:
        observer = TrainingStage(report, epochs, tensorboard_logs(folder.file(TENSORBOARD) / "supernet"))
        supernet = trained_supernet(space, data, images, folder, observer=observer, pretrained=pretrained).supernet
    evaluator = SupernetEvaluator(supernet, data, seed=images.seed, search_images=images.search_images)
    genotypes = known.genotypes if known else space.sample(np.random.default_rng(NETWORKS_SEED), settings.networks)
    with watch.stage("Scoring networks with the supernet") as report:
        scores = _remembered(folder, "supernet", genotypes, lambda row: _score(evaluator, row), report)
    truth = known or _trained_alone(settings, data, supernet, genotypes, folder, watch, pretrained)
    return write_files(settings, space, inputs.table, truth, scores, folder)


def _score(evaluator: SupernetEvaluator, genotype: Genotypes) -> dict[str, float]:
    accuracy = evaluator.accuracy(genotype)
    return {"top1": accuracy.top1, "loss": accuracy.loss}


def _trained_alone(
    settings: RankSettings,
    data: Data,
    supernet: Supernet,
    genotypes: Genotypes,
    folder: RunFolder,
    watch: Watch,
    pretrained: Pretrained | None,
) -> Truth:
    """Train every network on its own, all alike, and take its accuracy on the search split.

    It starts at random, or as much of the pretrained network as it holds.
    """
    from nas.supernets.training import calibration_batches, extracted
    from nas.training.execution import default_execution
    from nas.training.loop import train
    from nas.training.recipes import fine_tune, short
    from searchspace.modules import build_network

    recipe = (short if pretrained is None else fine_tune)(settings.alone_epochs)
    begun = None if pretrained is None else _starting_as(pretrained, supernet, settings.supernet.seed)

    def top1(genotype: Genotypes) -> dict[str, float]:
        architecture = supernet.runs_as(genotype)
        if begun is None:
            network = build_network(architecture, seed=settings.supernet.seed)
        else:
            network = extracted(begun, genotype, calibration_batches(data, settings.supernet.seed))
        history = train(
            network,
            data.at_size(architecture.resolution),
            recipe,
            seed=settings.supernet.seed,
            execution=default_execution(settings.supernet.torch_device),
        )
        return {"top1": history.final.accuracy.top1}

    with watch.stage("Training every network alone") as report:
        found = _remembered(folder, "alone", genotypes, top1, report)
    start = "" if pretrained is None else " from the pretrained network's weights"
    source = f"trained alone{start}, {settings.alone_epochs} epochs, accuracy on the search split"
    return Truth(genotypes, np.array([one["top1"] for one in found]), source)


def _starting_as(pretrained: Pretrained, trained: Supernet, seed: int) -> Supernet:
    """Return shared weights of the same space that start as the pretrained network and are not trained."""
    from searchspace.supernet import Supernet, start_from

    begun = Supernet(trained.space, seed=seed, classes=trained.classes, image_size=trained.image_size)
    start_from(begun, pretrained.network.architecture, pretrained.network.state_dict())
    return begun


def _fitted(settings: RankSettings, weights: Weights, data: Data, folder: RunFolder, watch: Watch) -> Pretrained:
    """Fine-tune the pretrained network, or take up its fine-tuning."""
    from nas.supernets.pretrained import fitted
    from nas.training.execution import default_execution

    images = settings.supernet
    with watch.stage(f"Fine-tuning the pretrained network on {len(data.train):,} images") as report:
        observer = TrainingStage(report, images.teacher_epochs, tensorboard_logs(folder.file(TENSORBOARD) / "teacher"))
        execution = default_execution(images.torch_device)
        return fitted(weights, settings.space, data, images, folder, execution=execution, observer=observer)


def _remembered(
    folder: RunFolder,
    what: str,
    genotypes: Genotypes,
    compute: Callable[[Genotypes], dict[str, float]],
    report: Report,
) -> list[dict[str, float]]:
    """Compute something of every network, each once: a log remembers it."""
    found = []
    with Log.open(KIND, folder.file(SCORES), folder.settings) as log:
        known = dict(_known(entry, log.path) for entry in log.entries)
        for number, genotype in enumerate(genotypes, start=1):
            key = (what, tuple(genotype.tolist()))
            if key not in known:
                known[key] = compute(genotype)
                log.append({"what": what, "genotype": key[1], "found": known[key]})
            report(number, len(genotypes))
            found.append(known[key])
    return found


def _known(entry: Entry, path: Path) -> tuple[tuple[str, tuple[int, ...]], dict[str, float]]:
    document = entry.document
    try:
        found = {str(name): float(value) for name, value in document["found"].items()}
        if not all(np.isfinite(list(found.values()))) or not 0 <= found["top1"] <= 100:
            raise ValueError(f"a top-1 of {found['top1']:g} %")
        return (document["what"], tuple(document["genotype"])), found
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(KIND, path, entry.line, f"not a score ({str(error)[:100]})") from None
