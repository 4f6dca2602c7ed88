"""What a stage of an experiment leaves: figures beside the paper's, tables, pictures; plain data, kept as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One figure of the paper, ours beside it, and why they differ; all as they are to be printed."""

    what: str
    paper: str
    ours: str
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of printed values; columns from `numbers` on are right-aligned."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    numbers: int = 1


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A PNG file in the stage's folder."""

    title: str
    file: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything a stage found. `figures` are for programs; `scaled_down` says what was made smaller than the paper's.

    `text` are paragraphs of the page; they hold no figure that is not in `figures` or a table.
    """

    comparisons: Sequence[Comparison] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    text: Sequence[str] = ()
    scaled_down: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Findings:
        """Read what `as_dict` returned."""
        return cls(
            comparisons=[Comparison(**entry) for entry in document["comparisons"]],
            tables=[Table(**entry) for entry in document["tables"]],
            pictures=[Picture(**entry) for entry in document["pictures"]],
            text=document["text"],
            scaled_down=document["scaled_down"],
            figures=document["figures"],
        )
