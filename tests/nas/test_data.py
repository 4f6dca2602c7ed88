"""Data sets: every kind opens, splits never share an image, and whatever is wrong is said with its place."""

from __future__ import annotations

import os
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nas.data import Data, MemorySplit, Shard, load_data, sample
from nas.data._items import Items
from nas.data._prefetch import prefetched
from nas.data._splits import draw, take_subset, train_and_search
from nas.data.augment import scaled_side
from nas.data.streaming import StreamedSplit, random_crop_box
from nas.weights import Preparation
from searchspace.support.errors import UserError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits")


def write_image(path: Path, shade: int, size: tuple[int, int] = (20, 16)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, 255 - shade, 40)).save(path)


def write_classes(root: Path, per_class: int = 12, classes: tuple[str, ...] = ("ant", "bee")) -> None:
    for shade, name in enumerate(classes):
        for index in range(per_class):
            write_image(root / name / f"{index:02d}.png", 100 * shade + index)


def rows(split: object) -> set[int]:
    assert isinstance(split, MemorySplit)
    return set(split.indices.tolist())


def pixels(split: object) -> set[bytes]:
    assert isinstance(split, MemorySplit)
    return {image.numpy().tobytes() for image in split.images[split.indices]}


# --- splits ---------------------------------------------------------------------------------------------------------


def test_digits_split_into_three_parts_that_share_no_image(digits: Data) -> None:
    test = digits.test_split()
    assert len(digits.train) + len(digits.search) + len(test) == 1797
    assert not rows(digits.train) & rows(digits.search)
    assert not pixels(test) & (pixels(digits.train) | pixels(digits.search))


def test_the_test_images_are_the_same_for_every_seed_and_the_search_images_are_not() -> None:
    first, second = load_data("digits", seed=1), load_data("digits", seed=2)
    assert pixels(first.test_split()) == pixels(second.test_split())
    assert pixels(first.search) != pixels(second.search)
    assert not pixels(second.test_split()) & pixels(first.train)


def test_the_same_seed_gives_the_same_split() -> None:
    assert pixels(load_data("digits", seed=3).search) == pixels(load_data("digits", seed=3).search)


def items_named(names: list[str]) -> Items:
    return Items(
        names=tuple(names),
        labels=np.zeros(len(names), np.int64),
        open_image=lambda index: Image.new("RGB", (1, 1)),
        origin="here",
        fingerprint="",
    )


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(max_size=8), min_size=2, max_size=60, unique=True), st.integers(0, 2**31), st.data())
def test_train_and_search_partition_any_pool(names: list[str], seed: int, drawn: st.DataObject) -> None:
    items = items_named(names)
    subset = drawn.draw(st.integers(2, len(names)))
    pool = take_subset(items, np.arange(len(names)), subset)
    train, search = train_and_search(items, pool, seed)
    assert len(pool) == subset
    assert len(train) > 0 and len(search) > 0
    assert sorted([*train, *search]) == sorted(pool)


def test_a_new_image_moves_no_other_between_parts() -> None:
    before = draw(items_named(["a", "b", "c"]), "search 0")
    after = draw(items_named(["a", "aa", "b", "c"]), "search 0")
    assert list(after[[0, 2, 3]]) == list(before)


def test_subset_keeps_that_many_images_and_the_same_ones_for_every_seed() -> None:
    first, second = load_data("digits", seed=0, subset=100), load_data("digits", seed=1, subset=100)
    assert len(first.train) + len(first.search) == 100
    assert len(first.test_split()) == 100
    assert pixels(first.train) | pixels(first.search) == pixels(second.train) | pixels(second.search)


# --- batches --------------------------------------------------------------------------------------------------------


def test_training_batches_depend_on_seed_and_epoch_only(digits: Data) -> None:
    first = list(digits.train.train_batches(64, seed=5, epoch=2))
    again = list(digits.train.train_batches(64, seed=5, epoch=2))
    other = list(digits.train.train_batches(64, seed=5, epoch=3))
    assert all(torch.equal(a.images, b.images) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].images, other[0].images)


def test_starting_within_an_epoch_gives_the_batches_that_would_have_followed(digits: Data) -> None:
    whole = list(digits.train.train_batches(64, seed=5))
    rest = list(digits.train.train_batches(64, seed=5, start=7))
    assert len(rest) == len(whole) - 7
    assert torch.equal(rest[0].images, whole[7].images)


def test_shards_of_a_batch_together_hold_its_images(digits: Data) -> None:
    whole = next(digits.train.train_batches(64, seed=1))
    shards = [next(digits.train.train_batches(64, seed=1, shard=Shard(rank, 2))) for rank in (0, 1)]
    assert [len(shard.labels) for shard in shards] == [32, 32]
    assert torch.equal(torch.stack([shard.labels for shard in shards], dim=1).flatten(), whole.labels)


def test_drawing_batches_leaves_the_global_generator_alone(digits: Data) -> None:
    before = torch.get_rng_state()
    next(digits.train.train_batches(32, seed=0))
    assert torch.equal(before, torch.get_rng_state())


def test_evaluation_batches_hold_every_image_once_and_can_be_read_again(digits: Data) -> None:
    batches = digits.search.batches(50)
    first, second = list(batches), list(batches)
    assert len(first) == len(batches)
    assert sum(len(batch.labels) for batch in first) == len(digits.search)
    assert torch.equal(first[-1].images, second[-1].images)


def test_images_are_normalised_and_resized() -> None:
    data = load_data("digits", image_size=16)
    batch = next(iter(data.search.batches(155)))
    assert batch.images.shape[1:] == (3, 16, 16)
    assert abs(float(batch.images.mean())) < 0.1
    assert next(data.train.train_batches(8, seed=0)).images.shape == (8, 3, 16, 16)


# --- folders and zip files ------------------------------------------------------------------------------------------


def test_a_sample_of_a_folder_sorted_by_class_holds_every_class(tmp_path: Path) -> None:
    write_classes(tmp_path, per_class=40)
    train = load_data(f"imagefolder:{tmp_path}").train
    first, again = sample(train, 16, seed=0), sample(train, 16, seed=0)
    assert set(first.labels.tolist()) == {0, 1}
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, sample(train, 16, seed=1).images)
    assert len(sample(train, 10_000, seed=0).images) == len(train)


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))
    return path


def test_a_folder_and_its_zip_file_hold_the_same_images(tmp_path: Path) -> None:
    write_classes(tmp_path / "set")
    from_folder = load_data(f"imagefolder:{tmp_path / 'set'}", image_size=14)
    from_zip = load_data(f"imagefolder:{zipped(tmp_path / 'set')}", image_size=14)
    assert from_folder.classes == from_zip.classes == ("ant", "bee")
    assert pixels(from_folder.train) == pixels(from_zip.train)
    assert len(from_folder.train) + len(from_folder.search) + len(from_folder.test_split()) == 24


def test_imagenet_layout_keeps_val_for_testing(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", per_class=20)
    write_classes(tmp_path / "val", per_class=3)
    data = load_data(f"imagefolder:{tmp_path}", image_size=14)
    assert len(data.train) + len(data.search) == 40
    assert len(data.test_split()) == 6


def test_val_is_the_search_split_where_there_is_a_test_part(tmp_path: Path) -> None:
    for part, count in (("train", 10), ("val", 3), ("test", 4)):
        write_classes(tmp_path / part, per_class=count)
    data = load_data(f"imagefolder:{tmp_path}", image_size=14)
    assert (len(data.train), len(data.search), len(data.test_split())) == (20, 6, 8)


def test_large_images_are_cropped_to_the_network_size(tmp_path: Path) -> None:
    write_classes(tmp_path)
    data = load_data(f"imagefolder:{tmp_path}", image_size=28)
    assert next(data.train.train_batches(4, seed=0)).images.shape == (4, 3, 28, 28)
    assert next(iter(data.search.batches(4))).images.shape[1:] == (3, 28, 28)


@pytest.mark.parametrize("in_memory", [True, False])
def test_evaluation_cuts_the_share_of_the_image_that_the_weights_expect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    for name in ("ant", "bee"):
        for index in range(12):
            framed = np.full((40, 40, 3), 255, np.uint8)  # white around a black centre of 20 pixels
            framed[10:30, 10:30] = 0
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(framed).save(tmp_path / name / f"{index:02d}.png")
    if not in_memory:
        monkeypatch.setattr("nas.data.load.DECODED_LIMIT_BYTES", 0)

    def brightness(crop: float, size: int = 20) -> float:
        prepared = Preparation(mean=(0.0,) * 3, std=(1.0,) * 3, image_size=20, crop=crop)
        data = load_data(f"imagefolder:{tmp_path}", image_size=20, preparation=prepared).at_size(size)
        assert data.crop == crop
        return float(next(iter(data.search.batches(4))).images.mean())

    assert brightness(0.5) == 0.0  # of 40 pixels, not scaled at all
    assert brightness(0.8) == pytest.approx(1 - 0.5**2 / 0.8**2, abs=0.02)
    assert brightness(1.0) == pytest.approx(0.75, abs=0.02)
    assert brightness(1.0, size=24) == pytest.approx(0.75, abs=0.02)


def test_the_side_to_scale_to_is_a_whole_number_however_crop_is_rounded() -> None:
    assert [scaled_side(*pair) for pair in ((224, 0.875), (224, 0.95), (96, 96 / 110), (96, 1.0))] == [
        256,
        236,
        110,
        96,
    ]


def test_labels_file_names_the_classes(tmp_path: Path) -> None:
    write_classes(tmp_path)
    lines = [f"{name}/{index:02d}.png,{label}" for label, name in ((0, "ant"), (3, "bee")) for index in range(12)]
    (tmp_path / "labels.csv").write_text("file,class_index\n" + "\n".join(lines))
    assert load_data(f"imagefolder:{tmp_path}", image_size=14).classes == ("0", "1", "2", "3")


def test_decoded_images_are_kept_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.data._cache.KEEP_FROM_IMAGES", 1)
    write_classes(tmp_path / "set")
    first = load_data(f"imagefolder:{tmp_path / 'set'}", image_size=14)
    monkeypatch.setattr("nas.data._cache.open_rgb", None)  # decoding again would fail
    second = load_data(f"imagefolder:{tmp_path / 'set'}", image_size=14)
    assert pixels(first.train) == pixels(second.train)
    changed = tmp_path / "set" / "ant" / "00.png"
    os.utime(changed, ns=(1, changed.stat().st_mtime_ns + 1))
    with pytest.raises(TypeError):
        load_data(f"imagefolder:{tmp_path / 'set'}", image_size=14)


# --- mistakes -------------------------------------------------------------------------------------------------------


def one_class(root: Path) -> None:
    write_classes(root, classes=("ant",))


def empty_class(root: Path) -> None:
    write_classes(root)
    (root / "cat").mkdir()


def no_images(root: Path) -> None:
    (root / "ant").mkdir()
    (root / "ant" / "notes.txt").write_text("no image")


def broken_image(root: Path) -> None:
    write_classes(root)
    (root / "bee" / "03.png").write_bytes(b"\x89PNG\r\n\x1a\n half of it")


def truncated_image(root: Path) -> None:
    write_classes(root)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "bee" / "cut.jpg")
    (root / "bee" / "cut.jpg").write_bytes((root / "bee" / "cut.jpg").read_bytes()[:2000])


def stray_image(root: Path) -> None:
    write_classes(root)
    write_image(root / "stray.png", 1)


def unknown_val_class(root: Path) -> None:
    write_classes(root / "train")
    write_classes(root / "val", classes=("ant", "wasp"))


def bad_labels_file(root: Path) -> None:
    write_classes(root)
    (root / "labels.csv").write_text("file,class_index\nant/00.png,zero\n")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (one_class, "only one class, 'ant'"),
        (empty_class, "class folder 'cat' is empty"),
        (no_images, "holds no images"),
        (broken_image, r"'bee/03.png' is not a readable image"),
        (truncated_image, r"'bee/cut.jpg' is not a readable image"),
        (stray_image, "'stray.png' lies in no class folder"),
        (unknown_val_class, "'val/wasp' has no counterpart"),
        (bad_labels_file, "labels.csv line 2"),
    ],
)
def test_a_damaged_folder_is_named_with_its_place(tmp_path: Path, make: object, message: str) -> None:
    assert callable(make)
    make(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        load_data(f"imagefolder:{tmp_path}", image_size=14).test_split()
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("imagenet", "expected one of: digits, cifar10"),
        ("digits:somewhere", "unknown data set"),
        ("cifar10", "needs a place"),
        ("cifar10:/no/such/folder", "no such folder: /no/such/folder"),
        ("imagefolder:/no/such/folder", "no such folder or zip file"),
        ("datasets:/no/such/folder", "cannot be loaded"),
    ],
)
def test_a_wrong_specification_is_refused(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_data(spec)


def test_a_file_that_is_no_zip_and_a_cifar_folder_without_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "images.zip").write_text("not a zip file")
    with pytest.raises(UserError, match="neither a folder nor a zip"):
        load_data(f"imagefolder:{tmp_path / 'images.zip'}")
    with pytest.raises(UserError, match="holds neither cifar10_train"):
        load_data(f"cifar10:{tmp_path}")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
def test_a_damaged_zip_file_is_named(tmp_path: Path, part: float) -> None:
    write_classes(tmp_path / "images", per_class=20)
    archive = zipped(tmp_path / "images")
    content = bytearray(archive.read_bytes())
    start = int(len(content) * part)
    content[start : start + 200] = b"\xff" * 200
    archive.write_bytes(content)
    with pytest.raises(UserError, match=archive.name):
        load_data(f"imagefolder:{archive}")


@pytest.mark.parametrize(("size", "subset"), [(0, None), (-3, None), (8, 1)])
def test_impossible_sizes_are_refused(size: int, subset: int | None) -> None:
    with pytest.raises(UserError):
        load_data("digits", image_size=size, subset=subset)


# --- CIFAR-10 and the datasets library ------------------------------------------------------------------------------


def test_binary_cifar(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, count in [*((f"data_batch_{index}.bin", 8) for index in range(1, 6)), ("test_batch.bin", 10)]:
        table = rng.integers(0, 256, (count, 3073), dtype=np.uint8)
        table[:, 0] %= 10
        table.tofile(tmp_path / name)
    data = load_data(f"cifar10:{tmp_path}")
    assert len(data.train) + len(data.search) == 40
    assert len(data.test_split()) == 10
    assert len(data.classes) == 10


def test_zipped_cifar(shared_data: Path) -> None:
    data = load_data(f"cifar10:{shared_data / 'images'}", subset=200)
    assert data.image_size == 32
    batch = next(data.train.train_batches(32, seed=0))
    assert batch.images.shape == (32, 3, 32, 32)
    assert len(data.test_split()) == 200


def test_datasets_library(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=["ant", "bee"])})
    images = [Image.new("RGB", (16, 16), (10 * index, 0, 0)) for index in range(20)]
    content = {"img": images, "label": [index % 2 for index in range(20)]}
    parts = {name: datasets.Dataset.from_dict(content, features=features) for name in ("train", "test")}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "saved"))
    data = load_data(f"datasets:{tmp_path / 'saved'}", image_size=14)
    assert data.classes == ("ant", "bee")
    assert len(data.train) + len(data.search) == 20
    assert len(data.test_split()) == 20


# --- sets too large for memory --------------------------------------------------------------------------------------


@pytest.fixture()
def streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    monkeypatch.setattr("nas.data.load.DECODED_LIMIT_BYTES", 0)
    write_classes(tmp_path / "set", per_class=20)
    return load_data(f"imagefolder:{tmp_path / 'set'}", image_size=14)


def test_streamed_batches_depend_on_seed_epoch_and_step_only(streamed: Data) -> None:
    assert isinstance(streamed.train, StreamedSplit)
    whole = list(streamed.train.train_batches(8, seed=3))
    rest = list(streamed.train.train_batches(8, seed=3, start=2))
    assert len(whole) == len(streamed.train) // 8
    assert torch.equal(whole[2].images, rest[0].images)
    assert whole[0].images.shape == (8, 3, 14, 14)
    assert not torch.equal(whole[0].images, next(streamed.train.train_batches(8, seed=3, epoch=1)).images)


def test_streamed_and_decoded_images_agree_in_evaluation(
    streamed: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.data.load.DECODED_LIMIT_BYTES", 2**30)
    decoded = load_data(f"imagefolder:{tmp_path / 'set'}", image_size=14)
    for one, other in zip(streamed.search.batches(3), decoded.search.batches(3), strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_a_broken_image_met_while_streaming_is_named(streamed: Data, tmp_path: Path) -> None:
    for path in (tmp_path / "set" / "bee").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(UserError, match=r"'bee/\d\d.png' is not a readable image"):
        list(streamed.train.train_batches(8, seed=0))


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 2**31))
def test_a_random_crop_lies_within_the_image(width: int, height: int, seed: int) -> None:
    left, top, right, bottom = random_crop_box(width, height, np.random.default_rng(seed))
    assert 0 <= left < right <= width * (1 + 1e-12)
    assert 0 <= top < bottom <= height * (1 + 1e-12)
    assert 3 / 4 - 1e-9 <= (right - left) / (bottom - top) <= 4 / 3 + 1e-9


def test_leaving_a_prefetching_loop_early_ends_its_thread() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    before = threading.active_count()
    for number in prefetched(numbers(), depth=2):
        if number == 3:
            break
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
    assert len(taken) < 20
