"""`labels.csv` of an image folder: which file has which class, by index."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from nas.data._archive import Archive, shown
from searchspace.support.errors import UserError

COLUMNS = ("file", "class_index")
# Class names, one a line, may stand beside the labels.
NAME_FILES = ("labels.txt", "classes.txt")
# The largest public sets have 21,843 classes (ImageNet-21k); an index far above is a mistake in the file.
MAX_CLASSES = 100_000


@dataclass(frozen=True)
class Labels:
    """The rows of a labels file: class index by path, the classes' names (`numbered`: bare indices), and notes."""

    index_of: dict[str, int]
    classes: tuple[str, ...]
    numbered: bool
    notes: tuple[str, ...]


def read_labels(archive: Archive, path: str, folder: str) -> Labels:
    """Read a labels file whose paths are relative to `folder` (with its slash).

    Raises UserError naming the line that is no label, names no file, or contradicts another.
    """
    known = set(archive.paths)
    found: dict[str, int] = {}
    first_line: dict[str, int] = {}
    repeated = 0
    for line, name, index in _rows(archive, path):
        place = f"{archive.path}/{path} line {line}"
        file = folder + name.removeprefix("./")
        if file not in known:
            raise UserError(f"{place}: no such image '{shown(name)}'")
        if not 0 <= index < MAX_CLASSES:
            raise UserError(
                f"{place}: the class index is {shown(str(index))}, expected a number from 0 to {MAX_CLASSES - 1:,}"
            )
        if found.setdefault(file, index) != index:
            raise UserError(
                f"{place}: '{shown(name)}' has class {index} here and class {found[file]} in line {first_line[file]}"
            )
        repeated += file in first_line
        first_line.setdefault(file, line)
    if len(set(found.values())) < 2:
        raise UserError(f"{archive.path}/{path} names {len(set(found.values()))} class; at least two are needed")
    notes = _notes(path, set(found.values()), repeated)
    names = _class_names(archive, folder)
    count = max(found.values()) + 1
    if names is None:
        return Labels(found, tuple(map(str, range(count))), True, notes)
    if len(names) < count or len(set(names)) < len(names):
        raise UserError(
            f"{archive.path}: the file of class names has {len(set(names))} different names, expected one line for "
            f"each of the {count} classes"
        )
    return Labels(found, names, False, notes)


def _rows(archive: Archive, path: str) -> Iterator[tuple[int, str, int]]:
    """Yield line, file and class index of every row."""
    reader = csv.DictReader(io.StringIO(archive.read_text(path), newline=""))
    try:
        for row in reader:
            try:
                yield reader.line_num, row["file"], _whole(row["class_index"])
            except (KeyError, TypeError, ValueError, AttributeError):
                raise UserError(
                    f"{archive.path}/{path} line {reader.line_num}: expected the columns {','.join(COLUMNS)} with a "
                    "whole number"
                ) from None
    except csv.Error as error:
        raise UserError(f"{archive.path}/{path} line {reader.line_num}: not a CSV row ({error})") from None


def _whole(text: str) -> int:
    # Python refuses to read thousands of digits; any index that long is out of range anyway.
    text = text.strip()
    return 10**18 if text.isdigit() and len(text) > 18 else int(text)


def _notes(path: str, used: set[int], repeated: int) -> tuple[str, ...]:
    notes = []
    missing = max(used) + 1 - len(used)
    if min(used) == 1 and missing == 1:
        notes.append(f"{path}: the class indices begin at 1; class 0 is kept, without any image")
    elif missing:
        notes.append(f"{path}: {missing} of the {max(used) + 1} class indices up to {max(used)} have no image")
    if repeated:
        notes.append(f"{path}: {repeated} lines repeat another line and count once")
    return tuple(notes)


def _class_names(archive: Archive, folder: str) -> tuple[str, ...] | None:
    for name in NAME_FILES:
        if folder + name in archive.paths:
            return tuple(line.strip() for line in archive.read_text(folder + name).splitlines() if line.strip())
    return None
