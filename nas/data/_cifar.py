"""CIFAR-10 on disk: JPEGs in zip files, or the binary version of the original distribution."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nas.data._archive import Archive
from nas.data._folders import list_items
from nas.data._items import Items, Parts
from nas.data._pillow import pillow
from searchspace.support.errors import UserError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# The binary version stores one label byte and 3 x 32 x 32 pixel bytes per image
# (www.cs.toronto.edu/~kriz/cifar.html).
RECORD_BYTES = 1 + 3 * 32 * 32
BINARY_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))


def open_cifar10(location: str) -> Parts:
    """Return the train and test images of a CIFAR-10 folder; raises UserError naming what is missing."""
    train, test = _train_and_test(location)
    return Parts(classes=CLASSES, train=train, test=test)


def _train_and_test(location: str) -> tuple[Items, Items]:
    folder = Path(location).expanduser()
    if not folder.is_dir():
        raise UserError(f"cifar10: no such folder: {folder}")
    if (folder / "cifar10_train.zip").exists():
        return (
            _open_zip(folder / "cifar10_train.zip", "train/"),
            _open_zip(folder / "cifar10_test.zip", "test/"),
        )
    for place in (folder, folder / "cifar-10-batches-bin"):
        if (place / BINARY_TRAIN[0]).exists():
            return _open_binary(place, BINARY_TRAIN), _open_binary(place, ("test_batch.bin",))
    raise UserError(
        f"cifar10: {folder} holds neither cifar10_train.zip and cifar10_test.zip (images in class folders) nor "
        "data_batch_1.bin (the binary version; the pickled python version is not read)"
    )


def _open_zip(path: Path, prefix: str) -> Items:
    archive = Archive(path)
    images = [name for name in archive.paths if name.startswith(prefix)]
    archive.check_sizes(images)
    if not images:
        raise UserError(f"cifar10: {path} holds no folder '{prefix}'")
    return list_items(archive, images, prefix, CLASSES)


def _open_binary(folder: Path, names: tuple[str, ...]) -> Items:
    records = []
    for name in names:
        path = folder / name
        if not path.exists():
            raise UserError(f"cifar10: {path} is missing")
        data = np.fromfile(path, dtype=np.uint8)
        if data.size == 0 or data.size % RECORD_BYTES:
            raise UserError(f"cifar10: {path} has {data.size} bytes, expected a multiple of {RECORD_BYTES}")
        records.append(data.reshape(-1, RECORD_BYTES))
    table = np.concatenate(records)
    if table[:, 0].max() > 9:
        raise UserError(f"cifar10: {folder} holds a label above 9; is it CIFAR-10?")
    pixels = table[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return Items(
        names=tuple(f"{names[0]}/{index:05d}" for index in range(len(table))),
        labels=table[:, 0].astype(np.int64),
        open_image=lambda index: pillow().fromarray(np.ascontiguousarray(pixels[index])),
        origin=str(folder),
        fingerprint=f"{folder.resolve()} {(folder / names[0]).stat().st_mtime_ns} {len(table)}",
    )
