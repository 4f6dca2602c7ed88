"""Searches of tests leave the bound of the best network out, which takes seconds each; its own tests ask for it."""

from __future__ import annotations

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
