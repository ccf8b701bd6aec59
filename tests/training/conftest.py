"""What tests of training share."""

from collections.abc import Iterator

import pytest
from two_processes import Pair


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    """Two processes of one world. Tests that use it bear `xdist_group("pair")`, so that there is one pair, too."""
    both = Pair()
    yield both
    both.stop()
