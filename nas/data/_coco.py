"""Boxes from COCO-style JSON files, each entry checked.

DIR/annotations/instances_train*.json   with images in DIR/train*/
DIR/annotations/instances_val*.json     with images in DIR/val*/, the test split
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data._dense_items import DenseImages, DenseParts, is_search, padded, read_image
from searchspace.support.errors import UserError
from searchspace.support.files import read_text

_PREFIX = "instances_"


def open_coco(place: str, image_size: int, seed: int, subset: int | None) -> DenseParts:
    """Read a folder of COCO's layout; crowds and boxes without area are left out and counted in the notes.

    Raises UserError naming the file, and the entry, that is not as expected.
    """
    names, train, left_out = _read(Path(place), "train")
    others, test, left_out_test = _read(Path(place), "val")
    if others != names:
        raise UserError(f"{place}: the train and val files name different categories")
    searched = [image for image in train if is_search(image[0].name, seed)]
    trained = [image for image in train if not is_search(image[0].name, seed)][:subset]
    if not trained or not searched:
        raise UserError(f"{place}: {len(train)} training images are too few to draw a search split from")
    dropped = left_out + left_out_test
    return DenseParts(
        classes=names,
        train=_load(trained, image_size),
        search=_load(searched, image_size),
        test=_load(test, image_size),
        notes=(f"{dropped} crowds or boxes without area were left out",) if dropped else (),
    )


_Image = tuple[Path, NDArray[np.float32]]


def _load(images: list[_Image], image_size: int) -> DenseImages:
    pixels = np.stack([read_image(path, image_size) for path, _ in images])
    return DenseImages(pixels, padded([boxes for _, boxes in images]))


def _read(root: Path, part: str) -> tuple[tuple[str, ...], list[_Image], int]:
    """Return category names, images with their boxes, and how many boxes were left out."""
    found = sorted((root / "annotations").glob(f"{_PREFIX}{part}*.json"))
    if len(found) != 1:
        raise UserError(f"{root}: expected one file annotations/{_PREFIX}{part}*.json, found {len(found)}")
    path = found[0]
    folder = root / path.stem.removeprefix(_PREFIX)
    document = _document(path)
    categories = _entries(document, "categories", path, ("id", "name"))
    indices = {entry["id"]: number for number, entry in enumerate(categories)}
    images = _entries(document, "images", path, ("id", "file_name", "width", "height"))
    rows: dict[Any, list[tuple[float, ...]]] = {}
    sizes: dict[Any, tuple[float, float]] = {}
    for number, entry in enumerate(images):
        where = f"{path}: images[{number}]"
        width, height = (_number(entry[name], f"{where}: {name}") for name in ("width", "height"))
        if width <= 0 or height <= 0:
            raise UserError(f"{where}: width x height is {width:g} x {height:g}, expected positive numbers of pixels")
        sizes[entry["id"]], rows[entry["id"]] = (width, height), []
    left_out = 0
    annotations = _entries(document, "annotations", path, ("image_id", "category_id", "bbox"))
    for number, entry in enumerate(annotations):
        row = _row(entry, f"{path}: annotations[{number}]", indices, sizes)
        if row is None:
            left_out += 1
        else:
            rows[entry["image_id"]].append(row)
    listed = [
        (folder / str(entry["file_name"]), np.array(rows[entry["id"]], np.float32).reshape(-1, 5)) for entry in images
    ]
    return tuple(str(entry["name"]) for entry in categories), listed, left_out


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_text(path, "annotation file"))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: expected an object with images, categories and annotations")
    return document


def _entries(document: dict[str, Any], name: str, path: Path, fields: tuple[str, ...]) -> list[dict[str, Any]]:
    entries = document.get(name)
    if not isinstance(entries, list) or (not entries and name != "annotations"):
        raise UserError(f"{path}: expected a list `{name}` with an entry at least")
    for number, entry in enumerate(entries):
        missing = [field for field in fields if not isinstance(entry, dict) or field not in entry]
        if missing:
            raise UserError(f"{path}: {name}[{number}] lacks {', '.join(missing)}")
    identified = [json.dumps(entry["id"]) for entry in entries if "id" in fields]
    if len(set(identified)) < len(identified):
        twice = next(one for number, one in enumerate(identified) if one in identified[:number])
        raise UserError(f"{path}: two entries of {name} have the id {twice}")
    return entries


def _row(
    entry: dict[str, Any], where: str, indices: dict[Any, int], sizes: dict[Any, tuple[float, float]]
) -> tuple[float, ...] | None:
    """Return class, cy, cx, h, w as shares of the image; None for a crowd or a box without area."""
    for field, known in (("image_id", sizes), ("category_id", indices)):
        if not isinstance(entry[field], int | str) or entry[field] not in known:
            raise UserError(f"{where}: {field} {str(entry[field])[:40]!r} is not listed in the file")
    box = entry["bbox"]
    if not isinstance(box, list) or len(box) != 4:
        raise UserError(f"{where}: bbox is {str(box)[:60]}, expected four numbers: x, y, width, height")
    x, y, width, height = (_number(value, f"{where}: bbox") for value in box)
    whole_width, whole_height = sizes[entry["image_id"]]
    if width < 0 or height < 0 or x < -1 or y < -1 or x + width > whole_width + 1 or y + height > whole_height + 1:
        raise UserError(f"{where}: bbox {box} leaves its image of {whole_width:g} x {whole_height:g} pixels")
    if entry.get("iscrowd") or width == 0 or height == 0:
        return None
    label = float(indices[entry["category_id"]])
    centre = (y + height / 2) / whole_height, (x + width / 2) / whole_width
    return (label, *centre, height / whole_height, width / whole_width)


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{where} holds {str(value)[:40]!r}, expected a number")
    return float(value)
