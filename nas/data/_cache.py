"""Images decoded once into one uint8 array, kept on disk and mapped into memory by later runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.data._decode import open_rgb
from nas.data._items import Items
from nas.data._pillow import pillow
from searchspace.support.errors import UserError
from searchspace.support.files import replacing
from searchspace.support.folders import cache_folder

if TYPE_CHECKING:
    from PIL import Image

# Smaller sets decode faster than a file is found again.
KEEP_FROM_IMAGES = 2000
# Part of every cache key: raise it when decoding changes.
DECODING_VERSION = 2

Progress = Callable[[int, int], None]


def decode_items(items: Items, indices: NDArray[np.int64], size: int, progress: Progress | None = None) -> Tensor:
    """Return the images as uint8 (images, 3, size, size), decoded now or read from the cache.

    `progress(done, total)` is called while decoding. Raises UserError naming a file that is no readable
    image.
    """
    shape = (len(indices), 3, size, size)
    if len(indices) < KEEP_FROM_IMAGES:
        images = np.empty(shape, np.uint8)
        _decode_into(images, items, indices, size, progress)
        return torch.from_numpy(images)
    path = cache_folder() / f"{_key(items, indices, size)}.npy"
    if not path.exists():
        try:
            with replacing(path) as temporary:
                images = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
                _decode_into(images, items, indices, size, progress)
                images.flush()
        except OSError as error:
            raise UserError(
                f"cannot keep decoded images in {path.parent}: {error.strerror}; free "
                f"{np.prod(shape) / 2**20:.0f} MiB there or set NAS_CACHE to another folder"
            ) from error
    # Mode "c": torch wants writable memory, and a stray write must never reach the file.
    return torch.from_numpy(np.load(path, mmap_mode="c"))


def resize_and_crop(image: Image.Image, size: int) -> Image.Image:
    """Scale the shorter side to `size` pixels and cut the centre square."""
    width, height = image.size
    if (width, height) == (size, size):
        return image
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), pillow().Resampling.BICUBIC, box=box)


def pixels_of(image: Image.Image) -> NDArray[np.uint8]:
    """Return an RGB image as uint8 (3, height, width)."""
    return np.asarray(image, dtype=np.uint8).transpose(2, 0, 1)


def _decode_into(
    images: NDArray[np.uint8],
    items: Items,
    indices: NDArray[np.int64],
    size: int,
    progress: Progress | None,
) -> None:
    def decode(place: int) -> None:
        images[place] = pixels_of(resize_and_crop(open_rgb(items, int(indices[place]), size), size))

    # Threads suffice: Pillow releases the interpreter lock while it decodes and scales.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for done, _ in enumerate(_in_order(pool, decode, len(indices)), start=1):
            if progress is not None:
                progress(done, len(indices))


def _in_order(pool: ThreadPoolExecutor, decode: Callable[[int], None], count: int) -> Iterator[None]:
    try:
        yield from pool.map(decode, range(count))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _key(items: Items, indices: NDArray[np.int64], size: int) -> str:
    digest = hashlib.sha256(f"{DECODING_VERSION} {size} {items.fingerprint}".encode())
    digest.update(np.ascontiguousarray(indices).tobytes())
    return digest.hexdigest()[:32]
