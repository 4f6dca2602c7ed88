"""The one exception that stands for a mistake the user can mend."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in what was given, told so that the reader knows what to do next.

    The message names what was given, what was expected and where; the command line prints it without a
    traceback and exits with status 2.
    """


class Note(UserWarning):
    """Something the user should know that stops nothing; issued by `warnings.warn`, shown once on stderr."""
