"""The text form of a latency table: a commented YAML header above a CSV body, every byte under a checksum.

    # nas latency table, schema 2
    # sha256: of every line below this one
    # rows: 2
    # unit: ms
    # device: pixel1
    # ...
    kind,in_size,in_channels,out_channels,kernel,stride,latency_ms,spread_ms,shared_ms,runs
    conv,14,80,200,1,1,0.612000,0.010000,0.003000,50
    dwconv,14,200,200,3,1,0.240000,0.004000,0.000000,50

Any CSV reader that skips `#` lines can read the body. Schema 1 has no column `shared_ms`; it is read as 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from latency_lut._header import HeaderError, format_header, parse_header
from latency_lut.errors import TableError
from latency_lut.estimate import Estimate
from latency_lut.provenance import Provenance
from searchspace.ops import Op, OpKind
from searchspace.support.errors import quoted
from searchspace.support.files import sha256_text

SCHEMA = 2
DECIMALS = 6
LARGEST_SIZE = 999_999
COLUMNS = "kind,in_size,in_channels,out_channels,kernel,stride,latency_ms,spread_ms,shared_ms,runs"
_COLUMNS = {1: COLUMNS.replace("shared_ms,", ""), SCHEMA: COLUMNS}
_KINDS = {kind.value: kind for kind in OpKind}
_NUMBER = rf"\d{{1,9}}(?:\.\d{{1,{DECIMALS}}})?"
_SIZE = r"[1-9]\d{0,5}"
_RUNS = r"\d{1,9}"


def _row(times: int) -> re.Pattern[str]:
    columns = "|".join(_KINDS), *[_SIZE] * 5, *[_NUMBER] * times, _RUNS
    return re.compile(",".join(f"({column})" for column in columns), re.ASCII)


_ROWS = {1: _row(2), SCHEMA: _row(3)}
_FIRST_LINE = re.compile(r"# nas latency table, schema (\d{1,9})", re.ASCII)
_CHECKSUM_LINE = re.compile(r"# sha256: ([0-9a-f]{64})", re.ASCII)
_ROWS_LINE = re.compile(r"# rows: (\d{1,9})", re.ASCII)


def format_table(provenance: Provenance, entries: Mapping[Op, Estimate]) -> str:
    """Return the text of a table; the same entries in the same order always give the same bytes."""
    header = "".join(f"# {line}\n" for line in format_header(provenance).splitlines())
    covered = f"# rows: {len(entries)}\n{header}{format_csv(entries)}"
    return f"# nas latency table, schema {SCHEMA}\n# sha256: {sha256_text(covered)}\n{covered}"


def format_csv(entries: Mapping[Op, Estimate]) -> str:
    """Return the column names and one line for each entry, in their order."""
    rows = (
        f"{op.kind.value},{op.in_size},{op.in_channels},{op.out_channels},{op.kernel},{op.stride},"
        f"{entry.latency_ms:.{DECIMALS}f},{entry.spread_ms:.{DECIMALS}f},{entry.shared_ms:.{DECIMALS}f},{entry.runs}\n"
        for op, entry in entries.items()
    )
    return f"{COLUMNS}\n{''.join(rows)}"


def parse_table(text: str, path: str | Path) -> tuple[Provenance, dict[Op, Estimate]]:
    """Read what `format_table` wrote; raises TableError, with the line, for anything else."""
    lines = text.split("\n")
    schema, checksum, promised = _read_preamble(lines, path)
    columns = _COLUMNS[schema]
    columns_at = next((i for i, line in enumerate(lines) if i > 2 and not line.startswith("#")), len(lines))
    provenance = _read_header(lines[3:columns_at], path)
    if columns_at == len(lines) or lines[columns_at] != columns:
        raise TableError(path, f"expected the column names {columns}", min(columns_at, len(lines) - 1) + 1)
    whole = lines[-1] == ""
    entries = _read_rows(lines[columns_at + 1 : -1 if whole else len(lines)], columns_at + 2, path, schema)
    if len(entries) != promised or not whole:
        raise TableError(path, f"cut short or added to: {promised} rows are promised, {len(entries)} found", len(lines))
    if sha256_text("\n".join(lines[2:])) != checksum:
        raise TableError(path, "the checksum does not match: the file was edited or damaged after it was written", 2)
    return provenance, entries


def _read_preamble(lines: list[str], path: str | Path) -> tuple[int, str, int]:
    """Return schema, promised checksum and number of rows from the first three lines."""
    first = _FIRST_LINE.fullmatch(lines[0])
    if first is None:
        raise TableError(path, f"not a latency table: expected `# nas latency table, schema {SCHEMA}`", 1)
    schema = int(first[1])
    if schema not in _COLUMNS:
        known = " and ".join(map(str, _COLUMNS))
        raise TableError(path, f"schema {schema} is not known to this version, which reads schemas {known}", 1)
    checksum = _CHECKSUM_LINE.fullmatch(lines[1]) if len(lines) > 1 else None
    if checksum is None:
        raise TableError(path, "expected `# sha256:` and 64 hexadecimal digits", 2)
    promised = _ROWS_LINE.fullmatch(lines[2]) if len(lines) > 2 else None
    if promised is None:
        raise TableError(path, "expected `# rows:` and their number", 3)
    return schema, checksum[1], int(promised[1])


def _read_header(lines: list[str], path: str | Path) -> Provenance:
    for offset, line in enumerate(lines):
        if not line.startswith("# "):
            raise TableError(path, "a header line starts with `# `", 4 + offset)
    try:
        return parse_header("\n".join(line[2:] for line in lines))
    except HeaderError as error:
        raise TableError(path, str(error), 3 + error.line if error.line is not None else None) from None


def _read_rows(lines: list[str], first_line: int, path: str | Path, schema: int) -> dict[Op, Estimate]:
    pattern = _ROWS[schema]
    entries: dict[Op, Estimate] = {}
    for number, line in enumerate(lines, first_line):
        match = pattern.fullmatch(line)
        if match is None:
            raise TableError(path, _what_is_wrong(line, schema), number)
        kind, size, inputs, outputs, kernel, stride, latency_ms, spread_ms, *shared_ms, runs = match.groups()
        op = Op(_KINDS[kind], int(size), int(inputs), int(outputs), int(kernel), int(stride))
        entries[op] = Estimate(
            float(latency_ms), float(spread_ms), int(runs), shared_ms=float(shared_ms[0]) if shared_ms else 0.0
        )
        if len(entries) != number - first_line + 1:
            raise TableError(path, f"{op} is given twice", number)
    return entries


def _what_is_wrong(line: str, schema: int) -> str:
    """Say which column of a row that does not parse is at fault."""
    columns = _COLUMNS[schema]
    names = columns.split(",")
    values = line.split(",")
    if len(values) != len(names):
        return f"expected {len(names)} columns, {columns}; found {len(values)}"
    if values[0] not in _KINDS:
        return f"unknown kind of op {quoted(values[0])}; known are {', '.join(_KINDS)}"
    for name, value in zip(names[1:], values[1:], strict=True):
        if name.endswith("_ms"):
            if not re.fullmatch(_NUMBER, value, re.ASCII):
                bounds = f"from 0 to 999999999 with at most {DECIMALS} decimals"
                return f"{name} must be milliseconds {bounds}, not {quoted(value)}"
        elif name == "runs":
            if not re.fullmatch(_RUNS, value, re.ASCII):
                return f"runs must be a whole number of at least 0, not {quoted(value)}"
        elif not re.fullmatch(_SIZE, value, re.ASCII):
            return f"{name} must be a whole number from 1 to 999999, not {quoted(value)}"
    return f"not a row of {columns}"
