"""A space and its networks in NNI's search-space form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from searchspace.choices import Choice, ChoiceSet, Condition, Genotypes
from searchspace.support.errors import UserError

_WHEN = "_when"  # beside NNI's own _type and _value; its tuners leave it alone


def to_nni(choices: ChoiceSet) -> dict[str, Any]:
    """Return a space in NNI's search-space form: each choice by its path, conditions beside it under `_when`."""
    return {choice.path: _entry(choice) for choice in choices.choices}


def from_nni(search_space: Mapping[str, Any]) -> ChoiceSet:
    """Return the choices that `to_nni` wrote; raises UserError for anything else than choices."""
    read = []
    for path, entry in search_space.items():
        if (
            not isinstance(entry, Mapping)
            or entry.get("_type") != "choice"
            or not isinstance(entry.get("_value"), list)
        ):
            raise UserError(f"{path} of the search space is {entry!r:.80}, expected _type choice and a list as _value")
        when = tuple(Condition(at, frozenset(map(_plain, values))) for at, values in entry.get(_WHEN, {}).items())
        read.append(Choice(path, tuple(map(_plain, entry["_value"])), when))
    return ChoiceSet(read)


def to_parameters(choices: ChoiceSet, genotype: Genotypes) -> dict[str, Any]:
    """Return one network, shape (choices,), as NNI's parameters: the values of its active choices, by path."""
    active = choices.active(genotype[None])[0]
    rows = zip(choices.choices, genotype.tolist(), active.tolist(), strict=True)
    return {choice.path: choice.values[index] for choice, index, matters in rows if matters}


def from_parameters(choices: ChoiceSet, parameters: Mapping[str, Any]) -> Genotypes:
    """Return the genotype, shape (choices,), of NNI's parameters; values of inactive choices are let go.

    Raises UserError for a choice that the space does not have, a value it does not take, or an active choice left out.
    """
    unknown = sorted(set(parameters) - set(choices.index))
    if unknown:
        raise UserError(f"the space has no choice {unknown[0]!r:.60}; its choices are {', '.join(choices.index):.200}")
    genotype = np.zeros(len(choices.choices), dtype=np.uint8)
    for i, choice in enumerate(choices.choices):
        if choice.path in parameters:
            value = _plain(parameters[choice.path])
            if value not in choice.values:
                raise UserError(f"{choice.path} is {value!r:.60}, expected one of {choice.values}")
            genotype[i] = choice.values.index(value)
    for choice, matters in zip(choices.choices, choices.active(genotype[None])[0].tolist(), strict=True):
        if matters and choice.path not in parameters:
            raise UserError(f"{choice.path} is left out and decides the network: give one of {choice.values}")
    checked: Genotypes = choices.check(genotype)[0]
    return checked


def _entry(choice: Choice) -> dict[str, Any]:
    entry: dict[str, Any] = {"_type": "choice", "_value": list(choice.values)}
    if choice.when:
        entry[_WHEN] = {one.path: sorted(one.values) for one in choice.when}
    return entry


def _plain(value: Any) -> Any:
    """Return a value of a space for one of JSON."""
    return tuple(value) if isinstance(value, list) else value
