"""How a field of a job's settings is asked for; it stands in the field's annotation and needs no command line.

A settings class says once, beside each field, what it means, its default and where it stands in a help page:

    epochs: Annotated[int, Option("Passes over the images.", panel=TRAINING)] = 10

`nas.cli._options` makes the options of a command from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from enum import Enum
from typing import Any, TypeVar, get_args, get_type_hints

from nas.data_kinds import DATA_KINDS
from searchspace.support.errors import UserError

Made = TypeVar("Made")

SPACE = "Space"
BUDGET = "Budget"
DATA = "Data"
STRATEGY = "Strategy"
TRAINING = "Training"
ENGINE = "Engine"
OUTPUT = "Output"
PANELS = (None, SPACE, BUDGET, DATA, STRATEGY, TRAINING, ENGINE, OUTPUT)  # in the order of a help page


@dataclass(frozen=True)
class Option:
    """What a help page says of a field, and how its value is written.

    `names` replaces `--field-name`. `metavar` says what is given: FILE, N, or the unit (PX, SECONDS). `otherwise` says
    what is taken where the option is not given and the field's own default does not decide. `parser` makes the
    value of what was written, or raises UserError. `least` is the smallest number allowed. An `argument` is given by
    position. Beside one that `frees`, no other option is required.
    """

    help: str
    panel: str | None = None
    names: str | None = None
    metavar: str | None = None
    otherwise: str | None = None
    parser: Callable[[str], Any] | None = None
    least: int | None = None
    argument: bool = False
    frees: bool = False


@dataclass(frozen=True)
class Internal:
    """A field without an option of its own; `help` says what it is and who sets it."""

    help: str


def options_of(settings: type[Any]) -> dict[str, tuple[Any, Option | Internal, Field[Any]]]:
    """Return type, option and field of each field of a settings class, by name.

    Raises TypeError for a field that says nothing of itself.
    """
    hints = get_type_hints(settings, include_extras=True)
    found = {}
    for field in fields(settings):
        kind, *notes = get_args(hints[field.name]) if hasattr(hints[field.name], "__metadata__") else (None,)
        said = [note for note in notes if isinstance(note, Option | Internal)]
        if len(said) != 1:
            raise TypeError(f"{settings.__name__}.{field.name} needs one Option or Internal in its annotation")
        found[field.name] = (kind, said[0], field)
    return found


def made(settings: type[Made], values: Mapping[str, Any]) -> Made:
    """Return settings from plain values as a settings file holds them; raises UserError where they are others."""
    kinds = options_of(settings)
    try:
        return settings(**{name: restored(values[name], kinds[name][0]) for name in kinds if name in values})
    except (TypeError, ValueError) as error:
        raise UserError(f"these are no settings of this job: {error}") from None


def restored(value: Any, kind: Any) -> Any:
    """Return a plain value as a field of that type holds it: enums by value, lists as tuples."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    return tuple(value) if isinstance(value, list) else value


def known_fields(record: type[Made], values: Mapping[str, Any]) -> Made:
    """Return a record from those of the values that are fields of it: files of other versions may hold more."""
    names = {field.name for field in fields(record)}  # type: ignore[arg-type]
    return record(**{name: value for name, value in values.items() if name in names})


def is_required(field: Field[Any]) -> bool:
    """Return whether a field has no default."""
    return field.default is MISSING and field.default_factory is MISSING


# What several jobs ask for in the same words.
NETWORK = Option("A reference name, a YAML file, a run folder, or compact text.", metavar="NETWORK", argument=True)
DEVICE = Option("A phone from `nas devices`, or a table file.", panel=BUDGET, metavar="DEVICE")
IMAGES = Option(f"{DATA_KINDS}.", panel=DATA, metavar="DATA")
HEAD = Option(
    "In the classifier's place: ssdlite, ssdlite_halved, ssdlite_sandglass, lraspp or deeplab_lite.",
    panel=SPACE,
    metavar="HEAD",
)
SPACE_NAME = Option("A space from `nas spaces`, or a YAML file of your own.", panel=SPACE, metavar="SPACE")
STRATEGY_OPTION = Option(
    "A setting of the strategy, such as population=50; may be given again. A wrong KEY lists them.",
    panel=STRATEGY,
    names="--strategy-option",
    metavar="KEY=VALUE",
)
EXTRAPOLATE = Option("Estimate operations outside the table's measured range, and flag them.", panel=BUDGET)
SUBSET = Option("Use N training images only.", panel=DATA, metavar="N")
DROP_STRIDES = Option(
    "Set the first N strides of 2 to 1.",
    panel=DATA,
    metavar="N",
    otherwise="0, and on images under 64 px as many as they need",
)
SEED = Option("The same seed gives the same result.", panel=TRAINING, metavar="N")
TORCH_DEVICE = Option("cpu, cuda, cuda:1, ...", panel=ENGINE, metavar="DEVICE", otherwise="a GPU where there is one")
