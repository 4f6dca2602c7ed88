"""Image folders as people really have them, and damaged ones: read rightly, said, or refused by name."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.data import MemorySplit, load_data
from nas.data._archive import Archive, shown
from nas.data._decode import open_rgb
from nas.data._folders import natural_order, open_image_folder
from nas.data._items import Items
from nas.data._sources import open_source
from searchspace.support.errors import UserError


def picture(path: Path, shade: int = 100, size: tuple[int, int] = (12, 10)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, 255 - shade, 40)).save(path)


def classes(root: Path, names: tuple[str, ...] = ("cat", "dog"), n: int = 4) -> None:
    for shade, name in enumerate(names):
        for index in range(n):
            picture(root / name / f"{index}.png", 50 * shade + index)


def decoded(image: Image.Image) -> np.ndarray:
    items = Items(
        names=("x.png",), labels=np.zeros(1, np.int64), open_image=lambda _: image, origin="o", fingerprint=""
    )
    return np.asarray(open_rgb(items, 0, 8))


# --- parts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "valid", "test"),
        ("Train", "Val", "Test"),
        ("TRAINING", "dev", "testing"),
        ("train", "validation", "test"),
    ],
)
def test_parts_are_known_by_the_names_people_use(tmp_path: Path, train: str, validation: str, test: str) -> None:
    for name, n in ((train, 5), (validation, 3), (test, 2)):
        classes(tmp_path / "set" / name, n=n)
    parts = open_image_folder(tmp_path)
    assert parts.classes == ("cat", "dog")
    assert (len(parts.train), len(parts.search or ()), len(parts.test or ())) == (10, 6, 4)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    classes(tmp_path, ("bus", "train"))
    assert open_image_folder(tmp_path).classes == ("bus", "train")


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("train/cat", "train/dog", "test/cat", "extra/cat"), "'extra' beside them"),
        (("val/cat", "val/dog", "test/cat", "test/dog"), "no train/ folder"),
        (("train", "test"), "looks like a part of the data but holds images outside class folders"),
        (("train/cat", "train/dog", "valid/cat", "val/cat"), "both validation images"),
    ],
)
def test_top_folders_that_may_be_parts_are_refused(tmp_path: Path, folders: tuple[str, ...], message: str) -> None:
    for folder in folders:
        picture(tmp_path / folder / "0.png")
    with pytest.raises(UserError, match=message):
        open_image_folder(tmp_path)


# --- pixels ---------------------------------------------------------------------------------------------------------


def test_16_bit_grey_is_scaled_to_8_bits(tmp_path: Path) -> None:
    shades = np.arange(256, dtype=np.uint16).reshape(16, 16)
    for suffix in ("png", "tif"):
        Image.fromarray(shades * 257).save(tmp_path / f"x.{suffix}")
        found = decoded(Image.open(tmp_path / f"x.{suffix}"))
        assert (found == shades[..., None]).all()


def test_floats_between_0_and_1_are_scaled_and_other_ranges_refused(tmp_path: Path) -> None:
    Image.fromarray(np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)).save(tmp_path / "f.tif")
    assert (decoded(Image.open(tmp_path / "f.tif"))[..., 0] == np.arange(256).reshape(16, 16)).all()
    for image in (Image.new("F", (4, 4), 300.0), Image.new("F", (4, 4), float("nan")), Image.new("I", (4, 4), 70_000)):
        with pytest.raises(UserError, match=r"'x.png': its (grey )?values"):
            decoded(image)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_images_are_turned_upright(tmp_path: Path, suffix: str) -> None:
    image = Image.new("RGB", (60, 30))
    image.paste((255, 255, 255), (0, 0, 30, 30))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn clockwise
    image.save(tmp_path / f"x.{suffix}", exif=exif)
    found = decoded(Image.open(tmp_path / f"x.{suffix}"))
    height, width, _ = found.shape  # a JPEG is decoded at a reduced scale
    assert height == 2 * width
    assert found[: height // 3].mean() > 240 and found[-height // 3 :].mean() < 15


def test_too_many_pixels_are_refused_by_name_without_being_decoded(tmp_path: Path) -> None:
    Image.new("L", (13_000, 13_000)).save(tmp_path / "x.png")
    tracemalloc.start()
    with pytest.raises(UserError, match=r"'x.png': 13,000 x 13,000 pixels"):
        decoded(Image.open(tmp_path / "x.png"))
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


# --- what lies beside the images ------------------------------------------------------------------------------------


def test_hidden_and_system_files_are_left_out_and_counted(tmp_path: Path) -> None:
    classes(tmp_path)
    picture(tmp_path / ".ipynb_checkpoints" / "0.png")
    picture(tmp_path / "__MACOSX" / "cat" / "0.png")
    picture(tmp_path / "cat" / "._0.png")
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"x")
    parts = open_image_folder(tmp_path)
    assert parts.classes == ("cat", "dog") and len(parts.train) == 8
    assert "left out: 4 hidden or system files or folders" in parts.notes


def test_files_that_are_no_images_are_counted_by_suffix_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    classes(tmp_path)
    for name in ("a.HEIC", "b.heic", "notes.txt", "README"):
        (tmp_path / "cat" / name).write_bytes(b"x")
    data = load_data(f"imagefolder:{tmp_path}", 8)
    assert data.notes == ("left out, no images: 2 .heic, 1 without suffix, 1 .txt",)
    assert "2 .heic" in caplog.text


@pytest.mark.parametrize("name", ["1.HEIC", ".DS_Store", "inner/notes.txt"])
@pytest.mark.parametrize("part", ["", "train", "val"])
def test_a_class_without_images_is_refused(tmp_path: Path, name: str, part: str) -> None:
    for place in {"train", "val"} if part else {""}:
        classes(tmp_path / place)
    (tmp_path / part / "fox" / name).parent.mkdir(parents=True)
    (tmp_path / part / "fox" / name).write_bytes(b"x")
    with pytest.raises(UserError, match="fox' is empty"):
        open_image_folder(tmp_path)


def test_linked_classes_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    classes(tmp_path / "real", ("cat", "dog", "fox"))
    classes(tmp_path / "set", ("cat",))
    for name in ("dog", "fox"):
        os.symlink(tmp_path / "real" / name, tmp_path / "set" / name)
    os.symlink(tmp_path / "set", tmp_path / "set" / "cat" / "again")
    os.symlink("nowhere", tmp_path / "set" / "cat" / "lost.png")
    parts = open_image_folder(tmp_path / "set")
    assert parts.classes == ("cat", "dog", "fox") and len(parts.train) == 12
    assert "left out: 1 links that lead nowhere" in parts.notes


def test_a_tangle_of_links_is_refused(tmp_path: Path) -> None:
    for level in range(30):
        (tmp_path / str(level)).mkdir()
        for name in "ab":
            os.symlink(tmp_path / str(level + 1), tmp_path / str(level) / name)
    picture(tmp_path / "30" / "0.png")
    with pytest.raises(UserError, match="again and again"):
        open_image_folder(tmp_path / "0")


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    classes(tmp_path)
    os.rename(os.fsencode(tmp_path / "cat/0.png"), os.fsencode(tmp_path / "cat") + b"/caf\xe9.png")
    os.rename(os.fsencode(tmp_path / "dog"), os.fsencode(tmp_path) + b"/d\xf6g")
    data = load_data(f"imagefolder:{tmp_path}", 8)
    assert len(data.train) + len(data.search) + len(data.test_split()) == 8
    assert shown(data.classes[1]).isascii()


def test_classes_are_sorted_as_people_count(tmp_path: Path) -> None:
    classes(tmp_path, ("10", "2", "0", "11", "1"), n=1)
    assert open_image_folder(tmp_path).classes == ("0", "1", "2", "10", "11")
    assert sorted(["b", "a10", "A9", "a" + "9" * 6000], key=natural_order)[:2] == ["A9", "a10"]


# --- labels.csv -----------------------------------------------------------------------------------------------------


def with_labels(root: Path, text: str | bytes) -> Path:
    for index in range(6):
        picture(root / "images" / f"{index}.png", 40 * index)
    (root / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def rows(*pairs: tuple[int, object]) -> str:
    return "file,class_index\n" + "".join(f"images/{file}.png,{label}\n" for file, label in pairs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (rows((0, 0), (1, 1), (0, 1)), r"line 4: 'images/0.png' has class 1 here and class 0 in line 2"),
        (rows((0, 0), (1, 10_000_000)), r"line 3: the class index is 10000000"),
        (rows((0, 0), (1, "9" * 5000)), r"line 3: the class index is"),
        (rows((0, 0), (1, -1)), r"line 3: the class index is -1"),
        (rows((0, 0), (9, 1)), r"line 3: no such image"),
        (rows((0, 0), (1, "1.5")), r"line 3: expected the columns"),
        ("name,label\na,1\n", r"line 2: expected the columns"),
        ("file,class_index\n" + "x" * 200_000 + ",1\n", r"line \d: not a CSV row"),
        (b"file,class_index\n\xff\xfe,1\n", r"is not UTF-8 text"),
        (rows((0, 0), (1, 0)), r"names 1 class"),
    ],
)
def test_labels_that_cannot_be_are_refused_with_their_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        open_image_folder(with_labels(tmp_path, text))
    assert len(str(caught.value)) < 400


def test_odd_labels_are_said(tmp_path: Path) -> None:
    parts = open_image_folder(with_labels(tmp_path, "\ufeff" + rows((0, 1), (1, 2), (2, 1), (0, 1))))
    assert parts.classes == ("0", "1", "2") and len(parts.train) == 3
    assert parts.notes == (
        "labels.csv: the class indices begin at 1; class 0 is kept, without any image",
        "labels.csv: 1 lines repeat another line and count once",
        "labels.csv does not name 3 of the images; they are left out",
    )


def test_names_of_classes_may_stand_beside_the_labels(tmp_path: Path) -> None:
    (with_labels(tmp_path, rows((0, 0), (1, 1))) / "labels.txt").write_text("\ufeffcat\ndog\n", encoding="utf-8")
    assert open_image_folder(tmp_path).classes == ("cat", "dog")
    (tmp_path / "labels.txt").write_text("cat\n")
    with pytest.raises(UserError, match=r"has 1 different names, expected one line for each of the 2"):
        open_image_folder(tmp_path)


def test_labels_may_lie_in_the_enclosing_folder(tmp_path: Path) -> None:
    with_labels(tmp_path / "set", rows((0, 0), (1, 1)))
    assert len(open_image_folder(tmp_path).train) == 2


# --- zip files ------------------------------------------------------------------------------------------------------


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def small_zip(path: Path, n: int = 5) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        for shade, name in enumerate(("cat", "dog")):
            for index in range(n):
                archive.writestr(f"{name}/{index}.png", png(40 * shade + index))
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "message"), [("/", "no name"), ("../cat/9.png", "points outside"), ("/etc/9.png", "points outside")]
)
def test_zip_entries_with_impossible_names_are_refused(tmp_path: Path, name: str, message: str) -> None:
    small_zip(tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip", "a") as archive:
        archive.writestr(name, b"")
    with pytest.raises(UserError, match=message):
        Archive(tmp_path / "x.zip")


@pytest.mark.parametrize("name", ["cat/bomb.png", "labels.csv"])
def test_a_bomb_is_refused_from_the_directory(tmp_path: Path, name: str) -> None:
    content = small_zip(tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip", "a") as archive:
        archive.writestr(name, b"x")
    content = (tmp_path / "x.zip").read_bytes()
    place = content.rindex(b"PK\x01\x02")  # the directory says that the last entry unpacks to 3 GB
    content = content[: place + 24] + struct.pack("<I", 3 * 10**9) + content[place + 28 :]
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(UserError, match=rf"'{name}' has 2,861 MiB"):
        open_image_folder(tmp_path / "x.zip")


@pytest.mark.parametrize("case", ["zip_empty_entry_name.zip", "zip_wrong_offset.zip"])
def test_damaged_zip_files_of_the_cases_are_named(case: str, shared_data: Path) -> None:
    path = shared_data.parent / "cases" / case
    if not path.exists():
        pytest.skip("no cases")
    with pytest.raises(UserError, match=case):
        load_data(f"imagefolder:{path}", 8)


@pytest.mark.parametrize(
    "spec", ["imagefolder:\0", "imagefolder:~nobody-here/x", "imagefolder:" + "x" * 5000, "x" * 5000]
)
def test_impossible_places_are_a_sentence(spec: str) -> None:
    with pytest.raises(UserError):
        open_source(spec)


def test_pixels_reach_a_split(tmp_path: Path) -> None:
    classes(tmp_path)
    assert isinstance(load_data(f"imagefolder:{tmp_path}", 8).train, MemorySplit)
