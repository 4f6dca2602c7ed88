"""The files of a ranking: every network with its scores, a picture, and the correlations."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from latency_lut import LatencyTable, predict
from nas.jobs.rank.settings import RankSettings
from nas.jobs.rank.statistics import Correlation, compare
from nas.jobs.rank.truth import Truth
from nas.objectives import Values
from nas.report.drawing import new_drawing, write_picture
from nas.runs.folder import RunFolder
from searchspace.space import SearchSpace

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

NETWORKS = "networks.csv"
PICTURE = "ranking.png"


def write_files(
    settings: RankSettings,
    space: SearchSpace,
    table: LatencyTable,
    truth: Truth,
    found: list[dict[str, float]],
    folder: RunFolder,
) -> dict[str, Any]:
    """Write every file of a finished ranking, `result.json` last, and return what that one holds.

    `found` are the supernet's top-1 and loss for the networks of `truth`.
    """
    networks = [space.decode(genotype) for genotype in truth.genotypes]
    scores = {
        "supernet loss": -np.array([one["loss"] for one in found]),
        "supernet top-1": np.array([one["top1"] for one in found]),
        "multiply-adds": np.array([network.madds for network in networks], dtype=float),
        "latency": np.array([predict(table, network, True).latency_ms for network in networks]),
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
        "warnings": warnings(found, space.spec.classes),
        "correlations": {name: {part: asdict(one) for part, one in parts.items()} for name, parts in compared.items()},
    }
    folder.finish(result)
    return result


def warnings(found: list[dict[str, float]], classes: int) -> list[str]:
    """Return what is loudly to be said of a supernet whose best network is no better than chance."""
    best = max(one["top1"] for one in found)
    if best > 100 / classes:
        return []
    return [
        f"with the supernet's weights the best network is right on {best:.2f} % of the search images, no better than "
        f"chance ({100 / classes:.2f} % with {classes} classes): the supernet has learnt nothing, train it longer"
    ]


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
