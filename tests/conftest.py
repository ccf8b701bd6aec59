"""Fixtures that many tests share."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine must not fail a test; the same examples are drawn every time.
settings.register_profile("fullconv", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("fullconv")

REAL_DATA = Path(os.environ.get("FULLCONV_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests run in one process, which makes their fixtures once."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory):
    """No test reads or leaves anything in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FULLCONV_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """Shells have what they start in the background ignore SIGINT, and what that starts in turn; tests send it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real pictures, masks and weights; tests that need it are skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(
            f"no real data at {REAL_DATA}; set FULLCONV_REAL_DATA to the folder that holds camvid, bag, ..."
        )
    return REAL_DATA
