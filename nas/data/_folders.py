"""Images in class folders or listed in a labels.csv, in a folder or a zip file, with or without train/ val/ test/."""

from __future__ import annotations

import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from nas.data._archive import Archive, shown
from nas.data._items import Items, Parts
from nas.data._labels_file import NAME_FILES, read_labels
from nas.data._pillow import pillow
from searchspace.support.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
LABELS_FILE = "labels.csv"
# What people call the parts of a data set, in lower case.
PART_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def open_image_folder(location: str | Path) -> Parts:
    """List the images of a folder or zip file.

    Layouts: `CLASS/image`; `train/CLASS/image` with validation or test folders or both (ImageNet's layout, under the
    names of `PART_NAMES`); or any layout with a `labels.csv` of `file,class_index` at the top. One enclosing folder
    is skipped. Validation is the search part where there is a test part too, else it is for testing. Raises UserError
    for a missing path, no images, a class folder without images, a single class, a class that only a later part has,
    and top folders that may be parts or classes.
    """
    archive = Archive(location)
    images = [path for path in archive.paths if PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise UserError(
            f"{archive.path} holds no images ({_by_suffix(archive.paths) or 'no other files'}); expected class "
            f"folders with files ending in {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    archive.check_sizes(images)
    prefix = _enclosing_folder(images)
    for folder in ("", _single_top(images)):
        if folder + LABELS_FILE in archive.paths:
            return _from_labels_file(archive, images, folder)
    places = _part_folders(archive, images, prefix)
    notes = _left_out(archive, images, set())
    if not places:
        classes = _class_names(archive, images, prefix)
        return Parts(classes=classes, train=list_items(archive, images, prefix, classes), notes=notes)
    return _from_parts(archive, images, places, notes)


def list_items(archive: Archive, images: list[str], prefix: str, classes: tuple[str, ...]) -> Items:
    """Return the images below `prefix`, labelled by their folder; raises UserError for other classes."""
    index_of = {name: index for index, name in enumerate(classes)}
    labels = []
    for path in images:
        name = _class_of(archive, path, prefix)
        if name not in index_of:
            raise UserError(
                f"{archive.path}: the class folder '{shown(prefix + name)}' has no counterpart among the training "
                f"classes ({_shortened(classes)})"
            )
        labels.append(index_of[name])
    return Items(
        names=tuple(path.removeprefix(prefix) for path in images),
        labels=np.array(labels, dtype=np.int64),
        open_image=_Opener(archive, tuple(images)),
        origin=str(archive.path),
        fingerprint=f"{archive.fingerprint()} {shown(prefix, 1000)}",
    )


def natural_order(name: str) -> tuple[object, ...]:
    """Return a sorting key that puts numbers inside names in order: 2 before 10."""
    pieces = re.split(r"([0-9]+)", name)
    # A number is compared by its length without leading zeros, then by its digits: no integer is ever built.
    return (
        *((len(piece.lstrip("0")), piece.lstrip("0")) if i % 2 else piece.casefold() for i, piece in enumerate(pieces)),
        name,
    )


@dataclass(frozen=True)
class _Opener:
    archive: Archive
    paths: tuple[str, ...]

    def __call__(self, index: int) -> Image.Image:
        image: Image.Image = pillow().open(io.BytesIO(self.archive.read(self.paths[index])))
        return image


def _from_parts(archive: Archive, images: list[str], places: dict[str, str], notes: tuple[str, ...]) -> Parts:
    inside = {part: [path for path in images if path.startswith(place)] for part, place in places.items()}
    classes = _class_names(archive, inside["train"], places["train"])
    items = {part: list_items(archive, inside[part], place, classes) for part, place in places.items()}
    for part in places.keys() - {"train"}:
        _refuse_empty_classes(archive, inside[part], places[part])
    validation = items.get("validation")
    return Parts(
        classes=classes,
        train=items["train"],
        search=validation if "test" in items else None,
        test=items.get("test", validation),
        notes=notes,
    )


def _from_labels_file(archive: Archive, images: list[str], folder: str) -> Parts:
    labels = read_labels(archive, folder + LABELS_FILE, folder)
    paths = sorted(labels.index_of)
    archive.check_sizes(paths)
    items = Items(
        names=tuple(path.removeprefix(folder) for path in paths),
        labels=np.array([labels.index_of[path] for path in paths], dtype=np.int64),
        open_image=_Opener(archive, tuple(paths)),
        origin=str(archive.path),
        fingerprint=archive.fingerprint(),
    )
    unlisted = len(set(images) - set(paths))
    notes = (f"{LABELS_FILE} does not name {unlisted} of the images; they are left out",) if unlisted else ()
    listed = {folder + name for name in (LABELS_FILE, *NAME_FILES)} | set(paths)
    return Parts(
        classes=labels.classes,
        train=items,
        numbered=labels.numbered,
        notes=(*labels.notes, *notes, *_left_out(archive, images, listed)),
    )


def _class_names(archive: Archive, images: list[str], prefix: str) -> tuple[str, ...]:
    counts = Counter(_class_of(archive, path, prefix) for path in images)
    _refuse_empty_classes(archive, images, prefix)
    if len(counts) < 2:
        raise UserError(
            f"{archive.path}: only one class, '{shown(next(iter(counts)))}', in '{shown(prefix) or '.'}'; "
            "at least two class folders are needed"
        )
    return tuple(sorted(counts, key=natural_order))


def _refuse_empty_classes(archive: Archive, images: list[str], prefix: str) -> None:
    filled = {_class_of(archive, path, prefix) for path in images}
    for folder in archive.folders:
        name = folder.removeprefix(prefix)
        if folder.startswith(prefix) and name and "/" not in name and name not in filled:
            others = _by_suffix([path for path in archive.paths if path.startswith(f"{folder}/")])
            raise UserError(
                f"{archive.path}: the class folder '{shown(folder)}' is empty: no image in it"
                + (f" ({others}; expected one of {', '.join(sorted(IMAGE_SUFFIXES))})" if others else "")
                + "; remove it or fill it"
            )


def _left_out(archive: Archive, images: list[str], used: set[str]) -> tuple[str, ...]:
    """Return a sentence about every kind of file that is left out, counted."""
    others = [path for path in archive.paths if path not in used]
    others = sorted(set(others) - set(images))
    notes = []
    if others:
        notes.append(f"left out, no images: {_by_suffix(others)}")
    if archive.hidden:
        plural = "s" if archive.hidden > 1 else ""
        notes.append(f"left out: {archive.hidden} hidden or system file{plural} or folder{plural}")
    if archive.broken:
        notes.append(f"left out: {archive.broken} links that lead nowhere")
    return tuple(notes)


def _by_suffix(paths: list[str]) -> str:
    """Return how many files there are of each suffix, in words."""
    counts = Counter(PurePosixPath(path).suffix.lower() or "without suffix" for path in paths)
    listed = [f"{count} {shown(suffix, 20)}" for suffix, count in counts.most_common(6)]
    return ", ".join(listed) + (f" and {len(counts) - 6} other kinds" if len(counts) > 6 else "")


def _class_of(archive: Archive, path: str, prefix: str) -> str:
    name, separator, _ = path.removeprefix(prefix).partition("/")
    if not separator:
        raise UserError(f"{archive.path}: the image '{shown(path)}' lies in no class folder")
    return name


def _single_top(images: list[str]) -> str:
    """Return the one folder that holds all images (`name/`), or nothing."""
    tops = {path.partition("/")[0] for path in images}
    return f"{next(iter(tops))}/" if len(tops) == 1 and all("/" in path for path in images) else ""


def _enclosing_folder(images: list[str]) -> str:
    """Return the one folder around everything (`name/`), unless it is a part such as train/ or a class."""
    top = _single_top(images)
    deep_enough = all(path.count("/") >= 2 for path in images)
    return top if deep_enough and top.rstrip("/").lower() not in PART_NAMES else ""


def _part_folders(archive: Archive, images: list[str], prefix: str) -> dict[str, str]:
    """Return the folder (`train/`) of each part; none where the folders below `prefix` are classes.

    A folder of images alone is a class, whatever its name: there is a class "train" in CIFAR-100.
    """
    inside: dict[str, list[str]] = {}
    for path in images:
        top, _, rest = path.removeprefix(prefix).partition("/")
        inside.setdefault(top, []).append(rest)
    named = [top for top in inside if top.lower() in PART_NAMES]
    parts = [top for top in named if all("/" in rest for rest in inside[top])]
    if len(named) == len(inside) and len(named) > len(parts):
        flat = next(top for top in named if top not in parts)
        raise UserError(
            f"{archive.path}: '{flat}/' looks like a part of the data but holds images outside class folders; "
            f"expected {flat}/CLASS/image, or a {LABELS_FILE}"
        )
    if len(parts) < len(inside):
        if len(parts) < 2:
            return {}
        other = next(top for top in inside if top not in parts)
        raise UserError(
            f"{archive.path}: {' and '.join(f'{top}/' for top in sorted(parts))} look like parts of the data, but "
            f"there is '{shown(other)}' beside them; move it away, or rename the folders if they are classes"
        )
    places: dict[str, str] = {}
    for top in sorted(parts):
        part = PART_NAMES[top.lower()]
        if part in places:
            raise UserError(f"{archive.path} holds '{places[part]}' and '{top}/', both {part} images; keep one")
        places[part] = f"{prefix}{top}/"
    if "train" not in places:
        raise UserError(f"{archive.path} has {' and '.join(sorted(places.values()))} but no train/ folder")
    return places


def _shortened(names: tuple[str, ...], limit: int = 6) -> str:
    return ", ".join(shown(name) for name in names[:limit]) + (", …" if len(names) > limit else "")
