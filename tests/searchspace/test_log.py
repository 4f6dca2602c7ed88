"""The log of JSON lines: what was appended is found, and any damage but a torn end is refused at its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from searchspace.support.errors import UserError
from searchspace.support.log import HEADERLESS, Log, LogKind, read_log
from searchspace.support.testing import ReaderConformance

KIND = LogKind(format="test/2", name="test log", older=("test/1", HEADERLESS))
HEADER = {"seed": 1, "space": "mobile", "settings": {"population": 5}}
DOCUMENTS = [{"value": number, "text": "x" * number} for number in range(6)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Log.open(KIND, tmp_path / "log.jsonl", HEADER) as log:
        log.append(*DOCUMENTS[:2])
        for document in DOCUMENTS[2:]:
            log.append(document)
    return tmp_path / "log.jsonl"


def documents(path: Path) -> list[dict[str, object]]:
    with Log.open(KIND, path, HEADER) as log:
        return [entry.document for entry in log.entries]


def test_what_is_appended_is_found_and_lines_are_plain_json(path: Path) -> None:
    assert documents(path) == DOCUMENTS
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("n") for line in lines] == [None, 1, 2, 3, 4, 5, 6]
    assert read_log(KIND, path)[0] == HEADER


def test_a_log_cut_anywhere_goes_on_to_the_same_bytes(path: Path) -> None:
    content = path.read_bytes()
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        with Log.open(KIND, path, HEADER) as log:
            log.append(*DOCUMENTS[len(log.entries) :])
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: lines[:3] + lines[4:], 4),
        (lambda lines: lines[:4] + lines[3:], 5),
        (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], 4),
        (lambda lines: [*lines[:3], lines[3].replace('"value":2', '"value":3'), *lines[4:]], 4),
        (lambda lines: [*lines[:-1], lines[-1].replace('"value":5', '"value":6')], 7),
        (lambda lines: [lines[0].replace('"seed":1', '"seed":2'), *lines[1:]], 1),
        (lambda lines: [*lines[:2], json.dumps(json.loads(lines[2])), *lines[3:]], 3),
        (lambda lines: [*lines[:2], "[" * 3000, *lines[3:]], 3),
        (lambda lines: [*lines[:2], '{"n":2,"value":' + "9" * 5000 + "}", *lines[3:]], 3),
        (lambda lines: [*lines[:2], "", *lines[2:]], 3),
        (lambda lines: ["[" * 3000, *lines[1:]], 1),
        (lambda lines: [lines[0].replace("format", "forma2"), *lines[1:]], 1),
        (lambda lines: [lines[0].replace("test/2", "test/1"), *lines[1:]], 1),
        (lambda lines: [*lines[:2], "\x00" * 40, *lines[3:]], 3),
    ],
)
def test_damage_is_refused_at_its_line(path: Path, change, line: int) -> None:
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    with pytest.raises(UserError, match=rf"log\.jsonl, line {line}: .*test log is damaged"):
        documents(path)


def test_another_header_is_refused_with_the_difference(path: Path) -> None:
    with pytest.raises(UserError, match="seed: 1 then, 2 now") as caught:
        Log.open(KIND, path, {**HEADER, "seed": 2})
    assert "space" not in str(caught.value)


@pytest.mark.parametrize(
    "first",
    [[json.dumps({"format": "test/1", "header": {"seed": 1}})], [json.dumps({"format": "test/1", "seed": 1})], []],
)
def test_older_formats_are_read_and_written_anew(tmp_path: Path, first: list[str]) -> None:
    old = tmp_path / "old.jsonl"
    old.write_text("".join(line + "\n" for line in (*first, *map(json.dumps, DOCUMENTS))) + '{"torn')
    assert documents(old) == DOCUMENTS
    assert documents(old) == DOCUMENTS
    assert json.loads(old.read_text().splitlines()[0])["format"] == "test/2"


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"format": "test/3"}\n')
    with pytest.raises(UserError, match="its format is 'test/3', expected 'test/2' or 'test/1'"):
        documents(path)


class TestLog(ReaderConformance):
    def write(self, folder: Path) -> Path:
        with Log.open(KIND, folder / "log.jsonl", HEADER) as log:
            log.append(*DOCUMENTS)
        return folder / "log.jsonl"

    def read(self, path: Path) -> object:
        _, entries = read_log(KIND, path)
        assert [entry.document for entry in entries] == DOCUMENTS[: len(entries)], "nothing but what was written"
        return entries
