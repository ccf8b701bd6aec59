"""What tests of training share."""

import os
from collections.abc import Iterator

import pytest
from two_processes import Pair


@pytest.fixture(scope="session")
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Two processes of one world. Tests that use it bear `xdist_group("pair")`, so that there is one pair, too."""
    users = [
        item
        for item in request.session.items
        if isinstance(item, pytest.Function) and "pair" in item.fixturenames
    ]
    if "PYTEST_XDIST_WORKER" in os.environ:  # a pytest too new for its xdist groups nothing, and says nothing
        assert all(item.nodeid.endswith("@pair") for item in users)
    both = Pair()
    yield both
    both.stop()
