"""Atomic writing: a reader sees the old file or the new one."""

from __future__ import annotations

import pytest

from searchspace.support.files import replacing, write_atomic


def test_a_failing_write_leaves_the_old_file_and_no_litter(tmp_path):
    target = tmp_path / "result.json"
    write_atomic(target, "old")
    with pytest.raises(RuntimeError), replacing(target) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_writing_makes_the_folder_and_a_readable_file(tmp_path):
    write_atomic(tmp_path / "deep" / "er" / "file.txt", b"bytes")
    path = tmp_path / "deep" / "er" / "file.txt"
    assert path.read_bytes() == b"bytes"
    assert path.stat().st_mode & 0o444
