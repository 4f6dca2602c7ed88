"""A generated data set of simple scenes: squares, disks and triangles on a noisy ground, with boxes and masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.data._dense_items import DenseImages, DenseParts, padded
from searchspace.support.errors import UserError

SCENES = "scenes"
SHAPES = ("square", "disk", "triangle")
DEFAULT_COUNT = 1000
# Colours lean towards one channel for each shape, so that a small network learns them within minutes.
_LEANING = np.array([(0.8, 0.35, 0.35), (0.35, 0.8, 0.35), (0.35, 0.35, 0.8)])


def scenes(
    count: int, image_size: int, seed: int
) -> tuple[NDArray[np.uint8], list[NDArray[np.float32]], NDArray[np.int64]]:
    """Return images (count, 3, size, size), the boxes of each (class, cy, cx, h, w) and masks (count, size, size).

    One to three shapes an image, a quarter to a half as wide as it and hardly overlapping; a later one covers an
    earlier one. In masks 0 is background and class k is k + 1. Another seed gives other scenes.
    """
    rng = np.random.default_rng([seed, 0x5CE])
    images = np.empty((count, 3, image_size, image_size), np.uint8)
    masks = np.zeros((count, image_size, image_size), np.int64)
    boxes = []
    for number in range(count):
        image = _ground(rng, image_size)
        boxes_here: list[tuple[float, ...]] = []
        for _ in range(int(rng.integers(1, 4))):
            placed = _place(rng, boxes_here)
            if placed is None:
                continue
            label, cy, cx, side = placed
            inside = _shape(label, cy, cx, side, image_size)
            colour = np.clip(_LEANING[label] + rng.normal(0, 0.12, 3), 0, 1)
            image[:, inside] = colour[:, None] + rng.normal(0, 0.03, (3, int(inside.sum())))
            masks[number][inside] = label + 1
            boxes_here.append((label, cy, cx, side, side))
        images[number] = (np.clip(image, 0, 1) * 255).astype(np.uint8)
        boxes.append(np.array(boxes_here, np.float32).reshape(-1, 5))
    return images, boxes, masks


def _ground(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Return a gradient between two greys with noise, (3, size, size)."""
    first, second = rng.uniform(0.2, 0.8, (2, 3))
    share = np.linspace(0, 1, size)[None, None, :] if rng.random() < 0.5 else np.linspace(0, 1, size)[None, :, None]
    ground = first.mean() * (1 - share) + second.mean() * share
    return np.broadcast_to(ground, (3, size, size)) + rng.normal(0, 0.08, (3, size, size))


def _place(rng: np.random.Generator, taken: list[tuple[float, ...]]) -> tuple[int, float, float, float] | None:
    """Return class, centre and side of a shape that hides no other, None where none was found in ten tries."""
    for _ in range(10):
        label, side = int(rng.integers(len(SHAPES))), float(rng.uniform(0.25, 0.5))
        cy, cx = rng.uniform(side / 2, 1 - side / 2, 2)
        if all(max(abs(cy - box[1]), abs(cx - box[2])) > 0.4 * (side + box[3]) for box in taken):
            return label, float(cy), float(cx), side
    return None


def _shape(label: int, cy: float, cx: float, side: float, size: int) -> NDArray[np.bool_]:
    """Return the pixels of a shape whose box is a square of `side`."""
    middle = (np.arange(size) + 0.5) / size
    y, x = (middle[:, None] - cy) / side, (middle[None, :] - cx) / side  # from -1/2 to 1/2 inside the box
    match SHAPES[label]:
        case "square":
            return (abs(y) <= 0.5) & (abs(x) <= 0.5)
        case "disk":
            return y**2 + x**2 <= 0.25
        case _:
            return (abs(y) <= 0.5) & (2 * abs(x) <= y + 0.5)


def scene_parts(count: str, image_size: int, seed: int, boxes: bool) -> DenseParts:
    """Return so many training scenes, and a fifth as many of other seeds for each other split."""
    if count and not (count.isascii() and count.isdigit() and 10 <= int(count) <= 100_000):
        raise UserError(f"scenes:{count[:40]}: expected the number of training scenes, 10 to 100000")
    train = int(count or DEFAULT_COUNT)

    def part(number: int, of: int) -> DenseImages:
        images, found, masks = scenes(of, image_size, 1_000 * seed + number)
        return DenseImages(images, padded(found) if boxes else masks)

    fifth = max(2, train // 5)
    return DenseParts(
        classes=SHAPES if boxes else ("background", *SHAPES),
        train=part(0, train),
        search=part(1, fifth),
        test=part(2, fifth),
    )
