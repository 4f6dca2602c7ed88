"""Masks from a folder of VOC's layout.

DIR/ImageSets/Segmentation/train.txt, val.txt    a name a line; val is the test split
DIR/JPEGImages/NAME.jpg, DIR/SegmentationClass/NAME.png
DIR/labels.txt                                   a class a line, background first; default: VOC's 21
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.data._dense_items import DenseImages, DenseParts, is_search, read_image
from nas.data._pillow import pillow
from searchspace.support.errors import UserError
from searchspace.support.files import read_text

IGNORED = 255
VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

_LONGEST_NAME = 250  # bytes; file systems allow 255, ending included


def open_voc(place: str, image_size: int, seed: int, subset: int | None) -> DenseParts:
    """Read a folder of VOC's layout; raises UserError naming the file, and the line, that is not as expected."""
    root = Path(place)
    classes = _classes(root)
    train, test = _listed(root, "train"), _listed(root, "val")
    searched = [entry for entry in train if is_search(entry[0], seed)]
    trained = [entry for entry in train if not is_search(entry[0], seed)][:subset]
    if not trained or not searched:
        raise UserError(f"{place}: {len(train)} training images are too few to draw a search split from")
    parts = [_load(root, part, image_size, len(classes)) for part in (trained, searched, test)]
    return DenseParts(classes=classes, train=parts[0], search=parts[1], test=parts[2])


def _classes(root: Path) -> tuple[str, ...]:
    path = root / "labels.txt"
    if not path.is_file():
        return VOC_CLASSES
    names = tuple(line.strip() for line in read_text(path, "labels file").splitlines() if line.strip())
    if not 2 <= len(names) <= IGNORED:
        raise UserError(f"{path}: {len(names)} classes, expected 2 to {IGNORED}, background first")
    return names


def _listed(root: Path, part: str) -> list[tuple[str, str]]:
    """Return the names of a part, each with the line it stands in."""
    path = root / "ImageSets" / "Segmentation" / f"{part}.txt"
    found = []
    for number, line in enumerate(read_text(path, "list of images").splitlines(), start=1):
        name, where = line.strip(), f"{path}, line {number}"
        if not name:
            continue
        if "/" in name or "\\" in name or name.startswith(".") or "\0" in name or len(name.encode()) > _LONGEST_NAME:
            raise UserError(f"{where}: {name[:60]!r} is no name of an image")
        for needed in (_image(root, name), _mask(root, name)):
            if not needed.is_file():
                raise UserError(f"{where}: there is no {needed}")
        found.append((name, where))
    if not found:
        raise UserError(f"{path} lists no image")
    return found


def _image(root: Path, name: str) -> Path:
    return root / "JPEGImages" / f"{name}.jpg"


def _mask(root: Path, name: str) -> Path:
    return root / "SegmentationClass" / f"{name}.png"


def _load(root: Path, names: list[tuple[str, str]], image_size: int, classes: int) -> DenseImages:
    images = np.stack([read_image(_image(root, name), image_size) for name, _ in names])
    masks = np.stack([_read_mask(_mask(root, name), image_size, classes, where) for name, where in names])
    return DenseImages(images, masks)


def _read_mask(path: Path, image_size: int, classes: int, where: str) -> NDArray[np.int64]:
    """Return class indices (size, size), 255 where a pixel does not count."""
    try:
        with pillow().open(path) as image:
            if image.mode not in ("P", "L"):
                raise UserError(f"{where}: {path} is {image.mode}, expected class indices of 8 bits (palette or grey)")
            resized = image.resize((image_size, image_size), pillow().Resampling.NEAREST)
            mask = np.asarray(resized, np.int64)
    except UserError:
        raise
    except Exception as error:  # Pillow's decoders raise dozens of types for damaged files
        raise UserError(f"{where}: {path} is not a readable image ({error or type(error).__name__})") from error
    wrong = mask[(mask >= classes) & (mask != IGNORED)]
    if wrong.size:
        raise UserError(f"{where}: {path} holds class {wrong[0]}, but there are {classes}: 0 to {classes - 1}, and 255")
    return mask
