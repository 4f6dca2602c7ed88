"""Which output of a network stands for which class of a data set: by name, never by a coincidence of numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from searchspace.support.errors import UserError


@dataclass(frozen=True)
class Matching:
    """For each class of the data the index of its output, and how that was found, in words."""

    output_of: tuple[int, ...]
    how: str


def match_labels(
    classes: Sequence[str], labels: Sequence[str] | None, outputs: int, *, numbered: bool = False
) -> Matching:
    """Match a data set's classes with a network's outputs.

    By name where every class is among the labels (the first of several names, such as "tench, Tinca tinca", will do);
    by number where the data set gives its classes as `numbered` indices, no more than there are outputs and most of
    them; in order where the network has no labels and as
    many outputs as there are classes. Raises UserError naming the first class without an output.
    """
    if labels is not None:
        if tuple(classes) == tuple(labels):
            return Matching(tuple(range(outputs)), "the same labels")
        index_of = _index_by_name(labels)
        missing = [name for name in classes if _normalised_label(name) not in index_of]
        if not missing:
            return Matching(tuple(index_of[_normalised_label(name)] for name in classes), "labels matched by name")
    if numbered and outputs < 2 * len(classes) <= 2 * outputs:
        return Matching(tuple(range(len(classes))), "the data set numbers its classes; they are matched by number")
    if labels is None and len(classes) == outputs:
        return Matching(tuple(range(outputs)), "the weights name no labels; classes are taken in their order")
    if labels is None:
        raise UserError(f"the network has {outputs} outputs without labels, the data set has {len(classes)} classes")
    raise UserError(
        f"the data set's class '{missing[0][:60]}' is not among the network's {outputs} labels "
        f"({', '.join(name[:30] for name in labels[:4])}, …)"
    )


def _index_by_name(labels: Sequence[str]) -> dict[str, int]:
    """Return indices by whole label and by its first name, where those are not ambiguous."""
    whole = [_normalised_label(label) for label in labels]
    first = [_normalised_label(label.partition(",")[0]) for label in labels]
    found: dict[str, int] = {}
    for names in (first, whole):
        counts = Counter(names)
        found |= {name: index for index, name in enumerate(names) if counts[name] == 1}
    return found


def _normalised_label(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())
