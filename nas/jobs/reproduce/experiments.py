"""The experiments by name; a new one is a module of stages and one line here."""

from __future__ import annotations

import importlib

from nas.jobs.reproduce.pipeline import Experiment
from searchspace.support.errors import UserError

_PLACES = {
    "pretrained": ("nas.jobs.reproduce.pretrained.stages", "PRETRAINED"),
    "mobilenext": ("nas.jobs.reproduce.mobilenext.experiment", "MOBILENEXT"),
    "mobilenetv3": ("nas.jobs.reproduce.mobilenetv3.stages", "MOBILENETV3"),
    "netadapt-truth": ("nas.jobs.reproduce.netadapt_truth.stages", "KNOWN_TRUTH"),
    "phones": ("nas.jobs.reproduce.phones", "PHONES"),
}

EXPERIMENTS = tuple(_PLACES)


def experiment(name: str) -> Experiment:
    """Return an experiment, its modules imported now; raises UserError listing the known names."""
    if name not in _PLACES:
        raise UserError(f"unknown experiment {name[:60]!r}, expected one of {', '.join(EXPERIMENTS)}")
    module, attribute = _PLACES[name]
    found: Experiment = getattr(importlib.import_module(module), attribute)
    return found
