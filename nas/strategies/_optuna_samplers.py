"""Which Optuna samplers there are and how each is used: kinds of parameters, constraints, one objective or two."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchspace.choices import Choice
from searchspace.support.errors import UserError
from searchspace.support.optional import optional_import

_CONSTRAINED = frozenset({"TPESampler", "NSGAIISampler", "NSGAIIISampler", "GPSampler"})
_TWO_OBJECTIVES = frozenset({"NSGAIISampler", "NSGAIIISampler"})  # by default; the others on demand
_CONDITIONAL = frozenset({"TPESampler"})
_NUMBERS = frozenset({"CmaEsSampler", "GPSampler", "QMCSampler"})
_FIXED_SEED = frozenset({"QMCSampler"})  # its sequence is one, counted in the study
_PICKLES = frozenset({"CmaEsSampler"})  # at its trials, for a new sampler to go on from
_UNUSABLE = frozenset({"BaseSampler", "BaseGASampler", "GridSampler", "PartialFixedSampler"})
_OPTIONS: dict[str, dict[str, Any]] = {
    "TPESampler": {"n_startup_trials": 20, "constant_liar": True},
    "NSGAIISampler": {"population_size": 20},
    "NSGAIIISampler": {"population_size": 20},
    "CmaEsSampler": {"with_margin": True, "warn_independent_sampling": False},
    "GPSampler": {"deterministic_objective": True, "warn_independent_sampling": False},
}


def import_optuna() -> Any:
    """Return the optuna module, quiet; raises UserError that says what to install."""
    optuna = optional_import("optuna", purpose="this strategy", extra="optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def sampler_names() -> tuple[str, ...]:
    """Return the samplers that the installed Optuna offers and a search can use."""
    samplers = import_optuna().samplers
    found = {name for name in samplers.__all__ if inspect.isclass(getattr(samplers, name)) and "Sampler" in name}
    return tuple(sorted(found - _UNUSABLE))


@dataclass(frozen=True)
class SamplerUse:
    """How one sampler is used; `make(seed, question_seed)` makes it, `label` names it with what it is after."""

    name: str
    front: bool
    make: Callable[[int, int], Any]
    described: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The name, with `/front` or `/budget` where that is not the sampler's usual use."""
        usual = self.name in _TWO_OBJECTIVES
        return self.name if self.front == usual else f"{self.name}/{'front' if self.front else 'budget'}"

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the sampler can be made with beside its seed."""
        parameters = inspect.signature(getattr(import_optuna().samplers, self.name)).parameters
        return tuple(name for name in parameters if name != "seed")

    @property
    def constrained(self) -> bool:
        """Whether the sampler knows constraints; for one that does not, networks over the budget are drawn again."""
        return self.name in _CONSTRAINED

    @property
    def pickles(self) -> bool:
        """Whether what the sampler notes in the study are pickles."""
        return self.name in _PICKLES

    @property
    def conditional(self) -> bool:
        """Whether only active choices are parameters; else all are, and an inactive one is told as it was drawn."""
        return self.name in _CONDITIONAL

    @property
    def parameters(self) -> str:
        """How choices become parameters, in words."""
        kind = "whole numbers where ordered" if self.name in _NUMBERS else "categories"
        return f"{'conditional' if self.conditional else 'flat'}, {kind}"

    def distribution(self, choice: Choice) -> Any:
        """Return the parameter of a choice: its value's index."""
        distributions = import_optuna().distributions
        if self.name in _NUMBERS and _ordered(choice):
            return distributions.IntDistribution(0, len(choice.values) - 1)
        return distributions.CategoricalDistribution(tuple(range(len(choice.values))))


def _ordered(choice: Choice) -> bool:
    numbers = all(isinstance(value, int | float) for value in choice.values)
    return numbers and list(choice.values) == sorted(choice.values) and len(choice.values) > 1


def sampler_use(text: str, options: Mapping[str, Any]) -> SamplerUse:
    """Return the use of a sampler named as `NAME`, `NAME/front` or `NAME/budget`; raises UserError for another."""
    name, _, purpose = text.partition("/")
    if name not in sampler_names() or purpose not in ("", "front", "budget"):
        raise UserError(
            f"unknown Optuna sampler {text!r:.60}, expected one of {', '.join(sampler_names())}, "
            "with /front (accuracy and latency) or /budget (accuracy within the budget) behind it where wanted"
        )
    chosen = {**_OPTIONS.get(name, {}), **options}

    def make(seed: int, question_seed: int) -> Any:
        import warnings

        optuna = import_optuna()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return getattr(optuna.samplers, name)(seed=seed if name in _FIXED_SEED else question_seed, **chosen)

    front = purpose == "front" or (not purpose and name in _TWO_OBJECTIVES)
    use = SamplerUse(name, front, make, {})
    described = {**chosen, "parameters": use.parameters, "objectives": 2 if front else 1}
    try:
        make(0, 0)
    except (ImportError, TypeError, ValueError) as error:
        raise UserError(f"the Optuna sampler {name} cannot be made: {error}") from None
    return SamplerUse(name, front, make, described)


def save_study(study: Any, path: Path) -> None:
    """Write a copy of a study as a journal storage, for `optuna-dashboard`, without what samplers noted in it."""
    optuna = import_optuna()
    journal = optuna.storages.journal
    path.unlink(missing_ok=True)
    storage = optuna.storages.JournalStorage(journal.JournalFileBackend(str(path)))
    copy = optuna.create_study(storage=storage, study_name=study.study_name, directions=study.directions)
    for trial in study.trials:
        if trial.state.is_finished():
            trial.system_attrs = {k: v for k, v in trial.system_attrs.items() if k.startswith("constraints")}
            copy.add_trial(trial)
