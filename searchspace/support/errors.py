"""The one exception that stands for a mistake the user can mend."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in what was given, told so that the reader knows what to do next.

    The message names what was given, what was expected and where; the command line prints it without a
    traceback and exits with status 2.
    """


_LONGEST_QUOTE = 60


def quoted(value: object) -> str:
    """Return what a message quotes of something a user gave: its repr, cut at 60 characters."""
    text = repr(value if not isinstance(value, str) else value[: 2 * _LONGEST_QUOTE])
    return text if len(text) <= _LONGEST_QUOTE else f"{text[: _LONGEST_QUOTE - 3]}..."


class Note(UserWarning):
    """Something the user should know that stops nothing; issued by `warnings.warn`, shown once on stderr."""
