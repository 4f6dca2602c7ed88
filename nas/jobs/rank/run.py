"""How well a supernet ranks networks, beside how well their size or latency alone would.

The truth is either a file of published accuracies or stand-alone trainings of a fixed set of networks on the same
images. Every score is reported with a bootstrap interval, over all networks and within the best tenth.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.evaluators import SupernetEvaluator
from nas.jobs.search.scoring import Report, TrainingStage, Watch
from nas.objectives import Values
from nas.report.drawing import new_drawing, write_picture
from nas.runs.folder import RunFolder
from nas.supernets.settings import DIFFERENTIABLE, SupernetSettings
from nas.supernets.trained import trained_supernet
from nas.training.tensorboard import TENSORBOARD, tensorboard_logs
from searchspace.choices import Genotypes
from searchspace.space import SearchSpace, load_space
from searchspace.support.errors import UserError
from searchspace.support.files import read_text, sha256_text
from searchspace.support.log import HEADERLESS, Entry, Log, LogKind, damaged

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from latency_lut import LatencyTable
    from nas.data import Data
    from searchspace.supernet import Supernet

SCORES = "scores.jsonl"
KIND = LogKind(format="rank-scores/1", name="log of scores", older=(HEADERLESS,))
NETWORKS = "networks.csv"
PICTURE = "ranking.png"
RESAMPLES = 1000
BEST_SHARE = 0.1
FEWEST_RANKED = 5
# Networks to compare are drawn with a seed of their own, so that every run of a space compares the same ones.
NETWORKS_SEED = 20_240


@dataclass(frozen=True, kw_only=True)
class RankSettings:
    """What is ranked: `networks` of a space, against the file `against` or, without one, stand-alone trainings."""

    space: str
    supernet: SupernetSettings
    device: str = "pixel"
    against: str | None = None
    networks: int = 50
    alone_epochs: int = 10

    def __post_init__(self) -> None:
        if self.networks < 10:
            raise UserError(f"networks is {self.networks}, expected at least 10 to rank")
        if self.supernet.mode == DIFFERENTIABLE:
            raise UserError(
                "differentiable training prefers the networks of one latency, so it has no ranking of a whole space: "
                "give another --supernet-training"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """Rank correlations of one score with the truth, with 95 % bootstrap intervals, over `count` networks."""

    count: int
    kendall: float
    kendall_low: float
    kendall_high: float
    spearman: float
    spearman_low: float
    spearman_high: float


def correlation(score: Values, truth: Values, seed: int = 0) -> Correlation:
    """Correlate a score with the truth, both of shape (n,), higher meaning better."""
    from scipy.stats import kendalltau, spearmanr

    def both(rows: Any) -> tuple[float, float]:
        if np.ptp(score[rows]) == 0 or np.ptp(truth[rows]) == 0:
            return 0.0, 0.0  # all tied: such a score ranks nothing, and neither coefficient is defined
        return float(kendalltau(score[rows], truth[rows])[0]), float(spearmanr(score[rows], truth[rows])[0])

    rng = np.random.default_rng(seed)
    draws = np.array([both(rng.integers(0, len(truth), len(truth))) for _ in range(RESAMPLES)])
    (kendall_low, spearman_low), (kendall_high, spearman_high) = np.percentile(draws, [2.5, 97.5], axis=0)
    kendall, spearman = both(slice(None))
    return Correlation(
        count=len(truth),
        kendall=kendall,
        kendall_low=float(kendall_low),
        kendall_high=float(kendall_high),
        spearman=spearman,
        spearman_low=float(spearman_low),
        spearman_high=float(spearman_high),
    )


def compare(scores: Mapping[str, Values], truth: Values, seed: int = 0) -> dict[str, dict[str, Correlation]]:
    """Correlate every score with the truth: {score: {"all": ..., "best tenth": ...}}, the best by truth.

    The best tenth is left out where it holds too few networks to rank.
    """
    parts = {"all": np.ones(len(truth), dtype=bool)}
    best = np.zeros(len(truth), dtype=bool)
    best[np.argsort(-truth, kind="stable")[: round(BEST_SHARE * len(truth))]] = True  # by rank: truths may tie
    if best.sum() >= FEWEST_RANKED:
        parts["best tenth"] = best
    return {
        name: {part: correlation(score[rows], truth[rows], seed) for part, rows in parts.items()}
        for name, score in scores.items()
    }


@dataclass(frozen=True)
class Truth:
    """Networks (n, choices) with what is known of them: top-1 in percent (n,), and where it comes from."""

    genotypes: Genotypes
    top1: Values
    source: str

    @property
    def fingerprint(self) -> str:
        """A hash of which networks are compared."""
        return sha256_text("\n".join(",".join(map(str, row)) for row in self.genotypes.tolist()))


def published(path: str | Path, space: SearchSpace, networks: int) -> Truth:
    """Read accuracies from a CSV file: a column `choices` of value indices, columns that start with `top1`.

    At most `networks` of them, always the same ones. Raises UserError naming the row that does not fit the space.
    """
    rows = list(csv.DictReader(io.StringIO(read_text(path, "file of accuracies"))))
    columns = [name for name in (rows[0] if rows else {}) if name.startswith("top1")]
    if not columns or "choices" not in rows[0]:
        raise UserError(f"{path}: expected the columns `choices` (one digit a choice) and `top1...`")
    order = np.random.default_rng(NETWORKS_SEED).permutation(len(rows))[:networks]
    genotypes, top1 = [], []
    for number in sorted(order.tolist()):
        row = rows[number]
        try:
            genotypes.append([int(digit) for digit in row["choices"]])
            top1.append(float(np.mean([float(row[column]) for column in columns])))
            space.check(genotypes[-1])
        except (ValueError, TypeError, UserError) as error:
            raise UserError(f"{path}, line {number + 2}: {error}") from None
    return Truth(space.check(genotypes), np.array(top1), f"published, mean of {', '.join(columns)}")


@dataclass(frozen=True)
class RankInputs:
    """What a ranking reads: images, space, latency table and, where a file gives them, the accuracies."""

    data: Data
    space: SearchSpace
    table: LatencyTable
    known: Truth | None


def open_inputs(settings: RankSettings) -> RankInputs:
    """Open all that the settings name; raises UserError for whatever is wrong with it, before anything is written."""
    from latency_lut.devices import load_device
    from nas.data import load_data
    from nas.supernets.modes import check_mode

    table = load_device(settings.device)
    space = load_space(settings.space)
    check_mode(settings.supernet.mode)
    images = settings.supernet
    resolution = max(space.spec.resolutions)
    data = load_data(images.data, images.image_size, images.seed, images.subset, resolution=resolution)
    space = space.with_classes(len(data.classes))
    known = published(settings.against, space, settings.networks) if settings.against else None
    return RankInputs(data, space, table, known)


def rank(settings: RankSettings, inputs: RankInputs, folder: RunFolder, watch: Watch | None = None) -> dict[str, Any]:
    """Train the supernet, find the truth, compare, and write everything into the folder; return the result.

    An interrupted run goes on where it stopped.
    """
    images, data, space, known = settings.supernet, inputs.data, inputs.space, inputs.known
    watch = watch or Watch()
    epochs = images.epochs_over(len(data.train))
    with watch.stage(f"Training the supernet on {len(data.train):,} images") as report:
        observer = TrainingStage(report, epochs, tensorboard_logs(folder.file(TENSORBOARD) / "supernet"))
        supernet, _ = trained_supernet(space, data, images, folder, observer=observer)
    evaluator = SupernetEvaluator(supernet, data, seed=images.seed, search_images=images.search_images)
    genotypes = known.genotypes if known else space.sample(np.random.default_rng(NETWORKS_SEED), settings.networks)
    with watch.stage("Scoring networks with the supernet") as report:
        scores = _remembered(folder, "supernet", genotypes, lambda row: _score(evaluator, row), report)
    truth = known or _trained_alone(settings, data, supernet, genotypes, folder, watch)
    return _report(settings, inputs, truth, scores, folder)


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
) -> Truth:
    """Train every network on its own, all alike, and take its accuracy on the search split."""
    from nas.training.loop import train
    from nas.training.recipes import short
    from searchspace.modules import build_network

    def top1(genotype: Genotypes) -> dict[str, float]:
        architecture = supernet.runs_as(supernet.space.decode(genotype))
        network = build_network(architecture, seed=settings.supernet.seed)
        history = train(
            network, data.at_size(architecture.resolution), short(settings.alone_epochs), seed=settings.supernet.seed
        )
        return {"top1": history.final.search.top1}

    with watch.stage("Training every network alone") as report:
        found = _remembered(folder, "alone", genotypes, top1, report)
    source = f"trained alone, {settings.alone_epochs} epochs, accuracy on the search split"
    return Truth(genotypes, np.array([one["top1"] for one in found]), source)


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


def _report(
    settings: RankSettings, inputs: RankInputs, truth: Truth, found: list[dict[str, float]], folder: RunFolder
) -> dict[str, Any]:
    from latency_lut import predict

    networks = [inputs.space.decode(genotype) for genotype in truth.genotypes]
    scores = {
        "supernet loss": -np.array([one["loss"] for one in found]),
        "supernet top-1": np.array([one["top1"] for one in found]),
        "multiply-adds": np.array([network.madds for network in networks], dtype=float),
        "latency": np.array([predict(inputs.table, network, True).latency_ms for network in networks]),
    }
    compared = compare(scores, truth.top1)
    columns = {"genotype": ["".join(map(str, row)) for row in truth.genotypes.tolist()], "top1": truth.top1} | scores
    folder.write(NETWORKS, _csv(columns))
    loss, correlation = scores["supernet loss"], compared["supernet loss"]["all"]
    write_picture(folder, PICTURE, lambda: draw_ranking(loss, truth, correlation))
    result = {
        "space": settings.space,
        "networks": len(networks),
        "networks_sha256": truth.fingerprint,
        "truth": truth.source,
        "device": settings.device,
        "supernet": settings.supernet.as_dict() | {"data": settings.supernet.data.partition(":")[0]},
        "correlations": {name: {part: asdict(one) for part, one in parts.items()} for name, parts in compared.items()},
    }
    folder.finish(result)
    return result


def _csv(columns: Mapping[str, Any]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return buffer.getvalue()


def draw_ranking(score: Values, truth: Truth, found: Correlation) -> Drawing:
    """Draw the supernet's score against the truth."""
    drawing = new_drawing(5, 4)
    axes = drawing.add_subplot()
    axes.scatter(-score, truth.top1, s=8, alpha=0.6, linewidths=0)
    axes.invert_xaxis()
    axes.set_xlabel("loss with the supernet's weights, nats")
    axes.set_ylabel(f"top-1, % ({truth.source.split(',')[0]})")
    interval = f"{found.kendall_low:.3f} to {found.kendall_high:.3f}"
    axes.set_title(f"Kendall tau {found.kendall:.3f} ({interval}), {found.count} networks", fontsize=10)
    return drawing
