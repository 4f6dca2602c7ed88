"""Exporting networks with a detection or segmentation head: of a training run, or of any network with --head."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas.export import ExportRecord, export_headed
from nas.jobs.export.settings import ExportSettings
from nas.jobs.train.dense import backbone_weights, preparation_document
from searchspace.heads import HeadedNetwork, head
from searchspace.modules.headed import HeadedModule, build_headed
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError
from searchspace.weights import HEADED_FILE, load_headed


def is_headed_run(network: str) -> bool:
    """Tell whether NETWORK is the folder of a run that trained a network with a head."""
    return "," not in network and (Path(network) / HEADED_FILE).is_file()


def export_with_head(settings: ExportSettings, out: Path) -> tuple[ExportRecord, list[str]]:
    """Export, run, compare and time; return what was made and what is to be said of it.

    Raises UserError for options that heads do not have and as `export_headed` does.
    """
    unused = {"--at": settings.at_ms, "--data": settings.data}
    if given := [name for name, value in unused.items() if value is not None]:
        raise UserError(f"{', '.join(given)}: not for a network with a head")
    trained = is_headed_run(settings.network)
    module, about = _trained(settings) if trained else _fresh(settings)
    record = export_headed(
        module,
        out,
        trained=trained,
        form=settings.format,
        precision=settings.precision or "float32",
        seed=settings.seed,
        **about,
    )
    return replace(record, file=str(out)), record.remarks


def _trained(settings: ExportSettings) -> tuple[HeadedModule, dict[str, Any]]:
    """Return the network of a training run, and what is known of its use."""
    if settings.head is not None or settings.weights is not None or settings.classes is not None:
        raise UserError(f"{settings.network} has its head and weights: leave --head, --classes and --weights out")
    module, notes = load_headed(Path(settings.network) / HEADED_FILE)
    labels = json.loads(notes.get("labels", "null"))
    known = isinstance(labels, list) and len(labels) == module.network.head.classes
    return module, {
        "labels": [str(label) for label in labels] if known else None,
        "preparation": preparation_document(),
        "origin": f"trained on {notes.get('data', 'unknown data')}",
    }


def _fresh(settings: ExportSettings) -> tuple[HeadedModule, dict[str, Any]]:
    """Return a network with a head that was not trained; its backbone takes a classifier's weights where given."""
    assert settings.head is not None
    network = HeadedNetwork(resolve_network(settings.network), head(settings.head, settings.classes))
    module = build_headed(network, seed=settings.seed)
    origin = backbone_weights(module, settings.network, settings.weights, from_scratch=False)
    return module, {"origin": origin or f"random numbers, seed {settings.seed}"}
