"""Images in class folders or listed in a labels.csv, in a folder or a zip file, with or without train/ val/ test/."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from nas.data._archive import Archive
from nas.data._items import Items
from searchspace.support.errors import UserError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
LABELS_FILE = "labels.csv"


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """An opened image folder; `search` comes from val/ where there is a test/ too, else val/ is for testing."""

    classes: tuple[str, ...]
    train: Items
    search: Items | None
    test: Items | None


def open_image_folder(location: str | Path) -> ImageFolder:
    """List the images of a folder or zip file.

    Layouts: `CLASS/image`; `train/CLASS/image` with `val/` or `test/` or both (ImageNet's layout); or any
    layout with a `labels.csv` of `file,class_index` at the top. One enclosing folder is skipped. Raises
    UserError for a missing path, no images, an empty class folder, a single class, or a class that only val/
    or test/ has.
    """
    archive = Archive(location)
    images = [path for path in archive.paths if PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise UserError(
            f"{archive.path} holds no images ({len(archive.paths)} other files); expected class folders with "
            f"files ending in {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    if LABELS_FILE in archive.paths:
        return _from_labels_file(archive)
    prefix = _enclosing_folder(images)
    parts = _split_parts(images, prefix)
    if parts is None:
        classes = _class_names(archive, images, prefix)
        return ImageFolder(classes=classes, train=list_items(archive, images, prefix, classes), search=None, test=None)
    return _from_parts(archive, parts)


def list_items(archive: Archive, images: list[str], prefix: str, classes: tuple[str, ...]) -> Items:
    """Return the images below `prefix`, labelled by their folder; raises UserError for other classes."""
    index_of = {name: index for index, name in enumerate(classes)}
    labels = []
    for path in images:
        name = _class_of(archive, path, prefix)
        if name not in index_of:
            raise UserError(
                f"{archive.path}: the class folder '{prefix}{name}' has no counterpart among the training "
                f"classes ({_shortened(classes)})"
            )
        labels.append(index_of[name])
    return Items(
        names=tuple(path.removeprefix(prefix) for path in images),
        labels=np.array(labels, dtype=np.int64),
        open_image=_Opener(archive, tuple(images)),
        origin=str(archive.path),
        fingerprint=f"{archive.fingerprint()} {prefix}",
    )


@dataclass(frozen=True)
class _Opener:
    archive: Archive
    paths: tuple[str, ...]

    def __call__(self, index: int) -> Image.Image:
        return Image.open(io.BytesIO(self.archive.read(self.paths[index])))


def _from_parts(archive: Archive, parts: dict[str, tuple[str, list[str]]]) -> ImageFolder:
    if "train" not in parts:
        raise UserError(f"{archive.path} has {'/ and '.join(sorted(parts))}/ but no train/ folder")
    prefix, images = parts["train"]
    classes = _class_names(archive, images, prefix)
    items = {name: list_items(archive, paths, place, classes) for name, (place, paths) in parts.items()}
    validation = items.get("val", items.get("validation"))
    test = items.get("test", validation)
    return ImageFolder(
        classes=classes,
        train=items["train"],
        search=validation if "test" in items else None,
        test=test,
    )


def _from_labels_file(archive: Archive) -> ImageFolder:
    paths, labels = [], []
    known = set(archive.paths)
    for number, row in enumerate(csv.DictReader(io.StringIO(archive.read_text(LABELS_FILE))), start=2):
        place = f"{archive.path}/{LABELS_FILE} line {number}"
        try:
            path, label = row["file"], int(row["class_index"])
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{place}: expected the columns file,class_index with a whole number") from None
        if path not in known:
            raise UserError(f"{place}: no such image '{path}'")
        if label < 0:
            raise UserError(f"{place}: the class index {label} is negative")
        paths.append(path)
        labels.append(label)
    if len(set(labels)) < 2:
        raise UserError(f"{archive.path}/{LABELS_FILE} names {len(set(labels))} class; at least two are needed")
    items = Items(
        names=tuple(paths),
        labels=np.array(labels, dtype=np.int64),
        open_image=_Opener(archive, tuple(paths)),
        origin=str(archive.path),
        fingerprint=archive.fingerprint(),
    )
    classes = tuple(str(index) for index in range(max(labels) + 1))
    return ImageFolder(classes=classes, train=items, search=None, test=None)


def _class_names(archive: Archive, images: list[str], prefix: str) -> tuple[str, ...]:
    counts = Counter(_class_of(archive, path, prefix) for path in images)
    for folder in archive.empty_folders:
        if folder.startswith(prefix) and "/" not in folder.removeprefix(prefix):
            raise UserError(f"{archive.path}: the class folder '{folder}' is empty; remove it or fill it")
    if len(counts) < 2:
        raise UserError(
            f"{archive.path}: only one class, '{next(iter(counts))}', in '{prefix or '.'}'; "
            "at least two class folders are needed"
        )
    return tuple(sorted(counts))


def _class_of(archive: Archive, path: str, prefix: str) -> str:
    name, separator, _ = path.removeprefix(prefix).partition("/")
    if not separator:
        raise UserError(f"{archive.path}: the image '{path}' lies in no class folder")
    return name


def _enclosing_folder(images: list[str]) -> str:
    """Return the one folder around everything (`name/`), unless it is a part such as train/ or a class."""
    tops = {path.partition("/")[0] for path in images}
    deep_enough = all(path.count("/") >= 2 for path in images)
    top = next(iter(tops))
    return f"{top}/" if len(tops) == 1 and deep_enough and top not in PART_NAMES else ""


PART_NAMES = frozenset({"train", "val", "validation", "test"})


def _split_parts(images: list[str], prefix: str) -> dict[str, tuple[str, list[str]]] | None:
    tops = {path.removeprefix(prefix).partition("/")[0] for path in images}
    if not tops <= PART_NAMES or "train" not in tops:
        return None
    return {
        top: (f"{prefix}{top}/", [path for path in images if path.startswith(f"{prefix}{top}/")])
        for top in sorted(tops)
    }


def _shortened(names: tuple[str, ...], limit: int = 6) -> str:
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
