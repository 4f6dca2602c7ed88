"""YAML from files that nobody vouches for: plain values only, with the line of every key.

No tags, anchors or aliases (which can unfold into gigabytes), no repeated keys, no deep nesting. JSON is read too.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import yaml

from searchspace.support.errors import UserError

_DEEPEST = 12
_MOST_VALUES = 300_000  # a table of 30,000 blocks; a value takes about a kilobyte while it is read
_MOST_IN_LIST = 10_000
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

KeyPath: TypeAlias = tuple[str, ...]  # the keys that lead to a value, outermost first


class PlainYamlError(UserError):
    """A text that is refused; `line` counts from 1, None where no line is at fault."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.line = line


def load_plain_yaml(text: str, longest: int) -> tuple[Any, dict[KeyPath, int]]:
    """Return the value of a text of at most `longest` characters, and the line of every key path in it.

    Raises PlainYamlError for anything but plain values.
    """
    if len(text) > longest:
        raise PlainYamlError(f"it has {len(text)} characters, expected at most {longest}")
    try:
        _refuse_fancy(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            lines: dict[KeyPath, int] = {}
            if node is None:
                return None, lines
            _note_lines(node, (), lines)
            return loader.construct_document(node), lines
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise PlainYamlError(f"not valid YAML: {error.problem}", mark.line + 1 if mark else None) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PlainYamlError(f"not valid YAML: {error}".splitlines()[0]) from None


def _refuse_fancy(text: str) -> None:
    """Refuse, while parsing lazily, what would unfold, run code or nest without bound."""
    depth, values, in_lists = 0, 0, 0
    kinds: list[bool] = []  # of the open collections, whether each is a list
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise PlainYamlError("YAML anchors and aliases are not accepted", line)
        tag = getattr(event, "tag", None)
        if tag:
            raise PlainYamlError(f"the YAML tag {tag} is not accepted", line)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        values += isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        in_lists += bool(kinds and kinds[-1] and isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent))
        if isinstance(event, yaml.CollectionStartEvent):
            kinds.append(isinstance(event, yaml.SequenceStartEvent))
        elif isinstance(event, yaml.CollectionEndEvent):
            kinds.pop()
        if values > _MOST_VALUES or in_lists > _MOST_IN_LIST:
            raise PlainYamlError("it holds more values than any file that is read here", line)
        if depth > _DEEPEST:
            raise PlainYamlError(f"it nests more than {_DEEPEST} levels deep", line)


def _note_lines(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int]) -> None:
    lines[path] = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        inner = (*path, str(key.value))
        line = key.start_mark.line + 1
        if inner in lines:
            raise PlainYamlError(f"{'.'.join(inner)}: given twice, first in line {lines[inner]}", line)
        _note_lines(value, inner, lines)
        lines[inner] = line
