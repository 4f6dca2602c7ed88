"""From what a user types to an architecture: a reference name, a file, a run folder or the compact text."""

from __future__ import annotations

from pathlib import Path

from searchspace.architecture import Architecture
from searchspace.reference import reference
from searchspace.support.errors import UserError
from searchspace.text import parse
from searchspace.yaml_io import load_architecture

ARCHITECTURE_FILE = "architecture.yaml"


def resolve_network(network: str) -> Architecture:
    """Return the architecture that `network` names.

    Raises UserError when it is neither compact text, an existing architecture file, a run folder that holds one nor
    a reference name.
    """
    if "," in network:
        return parse(network)
    path = Path(network)
    if path.is_dir():
        inside = path / ARCHITECTURE_FILE
        if not inside.is_file():
            raise UserError(f"{network} is a folder without {ARCHITECTURE_FILE}; is its run finished?")
        return load_architecture(inside)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return load_architecture(path)
    if "/" in network:
        raise UserError(f"no such architecture file or run folder: {network}")
    return reference(network)
