"""JSON from files that nobody vouches for: plain values, and one sentence for whatever cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from searchspace.support.errors import UserError
from searchspace.support.files import read_text


def parse_json(text: str | bytes, where: str) -> Any:
    """Return the value of a JSON text; raises UserError, beginning with `where`, for anything that is none.

    NaN and infinities are no JSON; nesting and numbers beyond what Python reads are refused like any other damage.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise UserError(f"{where}: not valid JSON (it nests too deep)") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not valid JSON ({error.msg}, column {error.colno})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: byte {error.start} is not UTF-8 text") from None
    except ValueError as error:
        problem = str(error) if str(error).startswith("the number") else "it holds a number of too many digits"
        raise UserError(f"{where}: not valid JSON ({problem})") from None


def read_json_object(path: str | Path, what: str) -> dict[str, Any]:
    """Return the JSON object that a file holds; raises UserError naming the file, and the line at fault."""
    text = read_text(path, what)
    try:
        document = parse_json(text, str(path))
    except UserError as refused:
        cause = _line_of(text)
        raise UserError(
            str(refused).replace(f"{path}:", f"{path}, line {cause}:", 1) if cause else str(refused)
        ) from None
    if not isinstance(document, dict):
        raise UserError(f"{path} is not a {what}: expected a JSON object")
    return document


def _line_of(text: str) -> int | None:
    """Return the line where a text stops being JSON, None where that cannot be said."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.lineno
    except (RecursionError, ValueError):
        return None
    return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"the number {constant} is not allowed")
