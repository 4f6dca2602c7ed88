"""From a file's bytes to upright 8-bit RGB, or a sentence that names the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nas.data._archive import shown
from nas.data._items import Items
from nas.data._pillow import pillow
from searchspace.support.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

# 150 MB as RGB, for each of the decoding threads. A JPEG is counted at the reduced scale it is decoded at.
MAX_PIXELS = 50_000_000


def open_rgb(items: Items, index: int, shortest_side: int) -> Image.Image:
    """Open one image upright and as RGB, decoding a JPEG at a reduced scale where `shortest_side` pixels stay covered.

    Grey of 16 bits and of floats in [0, 1] is scaled to 8 bits. Raises UserError naming the image that is damaged, too
    large, or of a range that is not known.
    """
    try:
        image = items.open_image(index)
        if isinstance(image, pillow().Image) and image.format == "JPEG":
            image.draft("RGB", (shortest_side, shortest_side))
        _refuse_huge(image)
        upright: Image.Image = pillow("ImageOps").exif_transpose(image)
        return _eight_bits(upright).convert("RGB")
    except UserError as error:
        raise UserError(f"{items.origin}: '{shown(items.names[index])}': {error}") from None
    except Exception as error:  # Pillow's decoders raise dozens of types for damaged files
        reason = shown(str(error)) or type(error).__name__
        raise UserError(
            f"{items.origin}: '{shown(items.names[index])}' is not a readable image ({reason}); replace or remove it"
        ) from error


def _refuse_huge(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UserError(
            f"{width:,} x {height:,} pixels, expected at most {MAX_PIXELS // 10**6} million; scale it down first"
        )


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return deeper grey scaled to 8 bits, and other images as they are: `convert` would clip it to white."""
    if image.mode.startswith("I;16") or image.mode == "I":
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65_535:
            raise UserError(
                f"its grey values go from {values.min()} to {values.max()}, expected 0 to 65535; save it with 8 or 16 "
                "bits"
            )
        scaled: Image.Image = pillow().fromarray(((values * 255 + 32_767) // 65_535).astype(np.uint8))
        return scaled
    if image.mode == "F":
        floats = np.asarray(image)
        if not (np.isfinite(floats).all() and floats.min() >= 0 and floats.max() <= 1):
            raise UserError("its values are floats beyond [0, 1]; scale them to [0, 1] or save it with 8 or 16 bits")
        scaled = pillow().fromarray(np.round(floats * 255).astype(np.uint8))
        return scaled
    return image
