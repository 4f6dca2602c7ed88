"""The published networks by name: `mobilenet_v2`, `mobilenet_v3_large_0.75`, `mobilenet_v2_0.75@160`.

Each base network is a data file; a width multiplier follows the name after an underscore, a resolution after `@`.
"""

from __future__ import annotations

import difflib
import re
from fractions import Fraction
from functools import cache
from importlib import resources
from pathlib import Path

from searchspace.architecture import Architecture
from searchspace.support.errors import UserError
from searchspace.widths import scale_width
from searchspace.yaml_io import architecture_from_mapping, load_mapping

_NAME = re.compile(r"(?P<base>[a-z0-9_]+?)(?:_(?P<width>\d{1,2}\.\d{1,4}))?(?:@(?P<resolution>\d{1,5}))?")

# The widths and resolutions the papers publish; any other multiplier works as well.
PUBLISHED_WIDTHS = {
    "mobilenet_v1": ("0.75", "0.5", "0.25"),
    "mobilenet_v2": ("1.4", "1.3", "0.75", "0.5", "0.35"),
    "mobilenet_v3_large": ("0.75",),
    "mobilenet_v3_small": ("0.75",),
    "mobilenet_v4_conv_small": ("0.5",),
    "mobilenext": ("1.4", "0.75", "0.5", "0.35"),
}


def _folder() -> Path:
    return Path(str(resources.files("searchspace"))) / "data" / "reference"


@cache
def base_names() -> tuple[str, ...]:
    """Return the names of the reference networks at width 1.0, in alphabetical order."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def reference_names() -> tuple[str, ...]:
    """Return every published name, width multipliers included."""
    names: list[str] = []
    for base in base_names():
        names += [base, *(f"{base}_{width}" for width in PUBLISHED_WIDTHS.get(base, ()))]
    return tuple(names)


@cache
def reference(name: str) -> Architecture:
    """Return the published network of that name; raises UserError naming close matches for an unknown one."""
    match = _NAME.fullmatch(name)
    if match is None or match["base"] not in base_names():
        close = difflib.get_close_matches(name, reference_names(), n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise UserError(f"unknown network {name[:80]!r}; {hint}Known networks: {', '.join(base_names())}")
    path = _folder() / f"{match['base']}.yaml"
    content = load_mapping(path, "architecture file")
    architecture = architecture_from_mapping(content, path)
    if match["width"]:
        architecture = scale_width(architecture, Fraction(match["width"]), **content.get("width", {}))
    return architecture.with_resolution(int(match["resolution"])) if match["resolution"] else architecture
