"""The tests every reader of a file has to pass; inherit them and give a readable file to test your own.

    from searchspace.support.testing import ReaderConformance

    class TestMine(ReaderConformance):
        def write(self, folder):
            (folder / "mine.csv").write_text("a,b\\n1,2\\n")
            return folder / "mine.csv"

        def read(self, path):
            return read_mine(path)

A damaged file gives a value or a `UserError`, within a second and 200 MB, and nothing else.
"""

# ruff: noqa: D102 - the names of the tests say what they test

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np
import pytest

from searchspace.support.errors import UserError

PIECES = (
    b"", b"\x00", b"\xff", b"\x00" * 8, b"\xff" * 8, b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\n", b"\t", b",", b'"',
    b":", b"=", b"[", b"{", b"null", b"-1", b"1e999", b"nan", b"9" * 400, b"9" * 5000, b"[" * 3000, b"A" * 3000,
    b"&a *a", b"!!python/name:os.system",
)  # fmt: skip
SECONDS, MEGABYTES = 1.0, 200.0
LONGEST_MESSAGE = 1500


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Return the content with one to four random edits: bytes changed, removed, put in, doubled or cut off.

    A third of them fall near the beginning or the end, where files of numbers keep their structure.
    """
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        at, length = _place(len(data), rng), int(rng.integers(1, 64))
        match int(rng.integers(6)):
            case 0:
                data[at : at + 1] = rng.bytes(1)
            case 1:
                data[at : at + int(rng.integers(8))] = PIECES[int(rng.integers(len(PIECES)))]
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = rng.bytes(length)
            case 4:
                data[at:at] = data[at : at + length] * 2
            case _:
                del data[at + (0 if rng.random() < 0.3 else length) :]
    return bytes(data)


def _place(length: int, rng: np.random.Generator) -> int:
    if rng.random() < 0.67 or length == 0:
        return int(rng.integers(length + 1))
    near = int(rng.integers(min(length, 2000)))
    return near if rng.random() < 0.5 else length - 1 - near


class ReaderConformance:
    """Tests of one reader, on `few` damaged files and, marked slow, on `many`."""

    few, many = 200, 10_000

    def write(self, folder: Path) -> Path:
        """Write a file that can be read, with whatever it needs beside it, and return its path."""
        raise NotImplementedError

    def read(self, path: Path) -> object:
        """Read the file as users do; whatever is read lazily is read here too."""
        raise NotImplementedError

    def test_a_whole_file_is_read(self, tmp_path: Path) -> None:
        self.read(self.write(tmp_path))

    def test_a_damaged_file_is_a_value_or_a_sentence(self, tmp_path: Path) -> None:
        self.survive(tmp_path, self.few)

    @pytest.mark.slow
    @pytest.mark.timeout(3600)
    def test_many_damaged_files_are_values_or_sentences(self, tmp_path: Path) -> None:
        self.survive(tmp_path, self.many)

    def survive(self, folder: Path, count: int) -> None:
        """Read `count` damaged copies of the file."""
        path = self.write(folder)
        content, rng = path.read_bytes(), np.random.default_rng(count)
        self.read(path)
        before_mb = _peak_mb()
        for number in range(count):
            path.write_bytes(damaged(content, rng))
            start = time.process_time()
            try:
                self.read(path)
            except UserError as error:
                assert len(str(error)) < LONGEST_MESSAGE, f"input {number}: a whole file is no quote"
            seconds = time.process_time() - start
            assert seconds < SECONDS, f"input {number} takes {seconds:.1f} s"
        assert _peak_mb() - before_mb < MEGABYTES


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
