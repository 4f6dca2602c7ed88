"""A study as plain values: its trials in their order, with what samplers noted at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.strategies._optuna_samplers import import_optuna


def study_state(study: Any) -> dict[str, Any]:
    """Return the finished trials of a study and its notes; all trials have to be finished."""
    return {
        "attributes": dict(study._storage.get_study_system_attrs(study._study_id)),
        "trials": [
            {
                "state": trial.state.name,
                "values": trial.values,
                "parameters": trial.params,
                "attributes": trial.system_attrs,
            }
            for trial in study.get_trials(deepcopy=False)
        ],
    }


def fill_study(study: Any, state: Mapping[str, Any], distributions: Mapping[str, Any]) -> None:
    """Give an empty study what `study_state` returned: trials get the numbers they had."""
    optuna = import_optuna()
    for name, value in state["attributes"].items():
        study._storage.set_study_system_attr(study._study_id, name, value)
    for one in state["trials"]:
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState[one["state"]],
                values=one["values"],
                params=one["parameters"],
                distributions={path: distributions[path] for path in one["parameters"]},
                system_attrs=one["attributes"],
            )
        )
