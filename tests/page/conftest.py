"""A browser, a service whose answers are known beforehand, and pages of it."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from page_helpers import PICTURE, Page, photo
from service_helpers import encoded, running

from fullconv.serving.settings import Settings

CHROMIUM = os.environ.get("FULLCONV_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")  # not longer: while it is there, no other test may start an event loop
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium here; install one, or set FULLCONV_CHROMIUM to it")
    with sync_api.sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory):
    """A service with all folders: its address, the folders, the `Service`."""
    root = tmp_path_factory.mktemp("page")
    for name, seeds in (("examples", (1, 2)), ("watched", (3, 4, 5))):
        (root / name).mkdir()
        for seed in seeds:
            (root / name / f"{name}_{seed}.png").write_bytes(photo(seed))
    settings = Settings(
        name="colours", collect=root / "collected", watch=root / "watched", examples=root / "examples"
    )
    with running(settings=settings) as (port, one):
        yield SimpleNamespace(url=f"http://127.0.0.1:{port}/", root=root, one=one, port=port)


@pytest.fixture
def opened(browser, service):
    """Opens pages; in the end none has met an error, asked another host, or broken the content policy."""
    pages = []

    def open_page(
        phone: bool = False,
        dark: bool = False,
        language: str = "en-GB",
        url: str = "",
        expected: tuple[str, ...] = (),
    ) -> Page:
        context = browser.new_context(
            viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 800},
            has_touch=phone,
            is_mobile=phone,
            color_scheme="dark" if dark else "light",
            locale=language,
            accept_downloads=True,
        )
        page = Page(context.new_page(), url or service.url, expected)
        pages.append((context, page))
        page.browser_page.goto(page.url)
        return page

    yield open_page
    for context, page in pages:
        faults, others = page.faults(), page.other_hosts()
        context.close()
        assert not faults
        assert not others


@pytest.fixture
def page(opened) -> Page:
    """A page with one picture, labelled."""
    one = opened()
    one.give(PICTURE)
    return one


@pytest.fixture
def picture_file(tmp_path: Path) -> Path:
    (tmp_path / "four.png").write_bytes(encoded(PICTURE))
    return tmp_path / "four.png"
