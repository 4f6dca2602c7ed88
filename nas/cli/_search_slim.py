"""`nas search --netadapt TARGET`: the network found is handed on to be slimmed, in a folder inside the run's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.jobs.slim.settings import ResourceName, SlimSettings, parse_target
from searchspace.low_resolution import SMALL_PX
from searchspace.support.errors import UserError

if TYPE_CHECKING:
    from nas.cli._search_asked import Wanted


def slim_settings(wanted: Wanted, place: Path) -> SlimSettings:
    """Return the settings of slimming the network found in `place`; raises UserError before any work is done."""
    target, search, images = wanted.netadapt, wanted.settings, wanted.images
    assert target is not None
    if images is None:
        raise UserError(f"--netadapt {target} fine-tunes on images: add --data, or slim a trained network later")
    if parse_target(target, ResourceName.LATENCY, search.budget_ms) >= search.budget_ms:
        raise UserError(f"--netadapt {target} is not below the budget of {search.budget_ms:g} ms that the search keeps")
    return SlimSettings(
        network=str(place),
        target=target,
        data=images.data,
        device=search.device,
        extrapolate=search.extrapolate,
        seed=search.seed,
        # Slimmed at the resolution that was priced; only images under 64 px stand in for larger ones.
        image_size=images.image_size if images.image_size is not None and images.image_size < SMALL_PX else None,
        subset=images.subset,
    )


def hand_on(settings: SlimSettings, place: Path, *, export: bool, quiet: bool) -> dict[str, Any]:
    """Slim the network found, going on where an earlier try stopped, and return the result."""
    from nas.cli.netadapt import print_result, slim

    slimmed, _ = slim(settings, place, resume=place.exists(), export=export)
    if not quiet:
        print_result(slimmed, place)
    return slimmed
