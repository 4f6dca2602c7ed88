"""Searches of tests leave the bound of the best network out, which takes seconds each; its own tests ask for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nas.bounds import Bound, bound_for

_USED = "nas.jobs.search.run.bound_for"


@pytest.fixture(autouse=True, scope="session")
def _without_bound():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_USED, lambda *_, **__: Bound())
        yield


@pytest.fixture(autouse=True)
def _bound_where_asked_for(request, monkeypatch):
    if request.node.get_closest_marker("bound") is not None:
        monkeypatch.setattr(_USED, bound_for)


@pytest.fixture(scope="session")
def page_made_again() -> Callable[[Path], None]:
    """Check that `nas report` makes the page of a run as it was when the run had finished."""
    from typer.testing import CliRunner

    from nas.cli.app import app

    def check(folder: Path) -> None:
        page = folder / "report.html"
        before = page.read_text(encoding="utf-8")
        page.unlink()
        found = CliRunner().invoke(app, ["report", str(folder)])
        assert found.exit_code == 0 and "was made again" in found.output, found.output
        assert page.read_text(encoding="utf-8") == before

    return check
