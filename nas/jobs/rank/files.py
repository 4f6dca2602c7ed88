"""The files of a ranking: every network with its scores, a picture, and the correlations."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from latency_lut import LatencyTable, predict
from nas.jobs.rank.page import SUPERNET, TRUTH, draw_ranking, rank_page
from nas.jobs.rank.settings import RankSettings
from nas.jobs.rank.statistics import compare
from nas.jobs.rank.truth import Truth
from nas.report.drawing import write_picture
from nas.runs.folder import REPORT, RunFolder
from searchspace.space import SearchSpace

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
        SUPERNET: -np.array([one["loss"] for one in found]),
        "supernet top-1": np.array([one["top1"] for one in found]),
        "multiply-adds": np.array([network.madds for network in networks], dtype=float),
        "latency": np.array([predict(table, network, True).latency_ms for network in networks]),
    }
    compared = compare(scores, truth.top1)
    names = ["".join(map(str, row)) for row in truth.genotypes.tolist()]
    columns = {"genotype": names, TRUTH: truth.top1.tolist()}
    columns |= {name: values.tolist() for name, values in scores.items()}
    folder.write(NETWORKS, _csv(columns))
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
    write_picture(folder, PICTURE, lambda: draw_ranking(columns, result))
    folder.write(REPORT, rank_page(result, columns))
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
