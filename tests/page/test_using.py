"""The page in other hands and on bad days: keyboards, screen readers, phones; a service that is busy, full, gone or locked."""

import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from page_helpers import TRUTH, photo
from service_helpers import Held, encoded, running

from fullconv.errors import BundleError
from fullconv.serving.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def axe():
    """Finds what keeps people out."""
    module = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    return module.Axe()


def grave(axe, page) -> list[str]:
    """What axe finds serious or critical."""
    found = axe.run(page.browser_page).response["violations"]
    return [
        f"{each['id']}: {each['help']}: {node['html'][:120]} {node['failureSummary'][:300]}"
        for each in found
        for node in each["nodes"]
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("phone", [False, True])
def test_nothing_keeps_people_out(opened, axe, phone, dark):
    page = opened(phone=phone, dark=dark, expected=("400",), language="zh-CN" if dark else "en")
    page.wait("!document.getElementById('examples').hidden")
    assert not grave(axe, page)
    page.give()
    for key in ("3", "5", "b"):  # before and after, entropy, painting
        page.press(key)
        assert not grave(axe, page)
    page.click("#model")
    assert not grave(axe, page)
    page.press("Escape")
    page.choose(("broken.png", b"nothing"))
    page.wait("document.querySelector('.status.bad')")
    assert not grave(axe, page)
    if phone:
        width = page.browser_page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1]


def test_everything_can_be_reached_by_the_tab_key(page):
    page.browser_page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(60):
        page.browser_page.keyboard.press("Tab")
        reached.append(
            page.browser_page.evaluate(
                "() => { const it = document.activeElement; "
                "return it.id || it.dataset.name || it.dataset.zoom || it.className || it.tagName; }"
            )
        )
    for name in (
        "skip",
        "model",
        "help",
        "language",
        "theme",
        "overlay",
        "fit",
        "canvas",
        "more",
        "thumb",
        "look",
        "save",
        "getMask",
    ):
        assert name in reached, name
    assert "mask" not in reached  # of radio buttons only the chosen one


def test_arrow_keys_go_through_the_views(page):
    page.browser_page.focus("#views [data-name=overlay]")
    page.press("ArrowRight")
    assert page.browser_page.get_attribute("#views [data-name=mask]", "aria-checked") == "true"
    page.press("ArrowLeft", "ArrowLeft")
    assert page.browser_page.get_attribute("#views [data-name=entropy]", "aria-checked") == "true"
    assert page.browser_page.evaluate("document.activeElement.dataset.name") == "entropy"


def test_what_a_screen_reader_is_told(page):
    told = "four.png: red 50 %, green 25 %, blue 25 %"
    assert page.browser_page.get_attribute("#canvas", "aria-label") == told
    assert page.browser_page.text_content("#spoken") == told
    page.browser_page.focus("#canvas")
    page.press("Shift+ArrowDown", "Shift+ArrowLeft")
    assert "blue, 100 % sure" in page.browser_page.text_content("#spoken")
    buttons = page.browser_page.query_selector_all("button:visible, [role=slider], input:visible")
    unnamed = [
        each.evaluate("it => it.outerHTML")
        for each in buttons
        if not each.evaluate("it => it.ariaLabel || it.innerText || it.labels?.length")
    ]
    assert not unnamed


def test_axe_would_find_faults(page, axe):
    page.browser_page.evaluate("document.querySelector('#getJson').replaceChildren()")
    assert any("button-name" in each for each in grave(axe, page))


def test_on_a_phone(opened):
    page = opened(phone=True)
    assert page.browser_page.is_visible("#camera")
    assert page.browser_page.get_attribute("#shot", "capture") == "environment"
    page.browser_page.set_input_files(
        "#shot", [{"name": "photo.png", "mimeType": "image/png", "buffer": photo(8)}]
    )
    page.until_done()
    canvas, side = (page.browser_page.locator(each).bounding_box() for each in ("#canvas", "#side"))
    assert canvas["height"] > 250
    assert side["y"] >= canvas["y"] + canvas["height"]
    assert side["y"] + side["height"] <= 844 + 1  # the picture stays in view while the list is scrolled


def test_light_and_dark(opened):
    page = opened(dark=True)
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.browser_page.evaluate(background)
    page.click("#theme")
    light = page.browser_page.evaluate(background)
    assert light != dark
    page.browser_page.reload()
    assert page.browser_page.evaluate(background) == light


def test_a_file_that_is_no_picture(opened):
    page = opened(expected=("400",))
    page.choose(("broken.png", b"nothing"), ("good.png", photo(1)))
    page.wait("document.querySelectorAll('.thumb[data-state=failed]').length === 1")
    page.wait("document.querySelector('.status.bad')")
    assert "broken.png" in page.text("#status") or "browser cannot show" in page.text("#status")
    assert page.text("#status button") == "Try again"
    page.click("#strip li:nth-child(2) .thumb")
    page.until_done()
    assert page.browser_page.is_hidden("#status")


def test_progress_and_cancelling(opened):
    held = Held()
    with running(held.segmenter, Settings(name="slow")) as (port, _):
        page = opened(url=f"http://127.0.0.1:{port}/")
        page.choose(("a.png", photo(1)), ("b.png", photo(2)))
        page.wait("document.getElementById('status').textContent.includes('Labelling every pixel')")
        page.click("#strip li:nth-child(2) .thumb")
        assert page.text("#status .text") == "Waiting its turn"
        page.click("#strip li:nth-child(1) .thumb")
        page.click("#status button")
        page.wait("document.getElementById('status').textContent.includes('Cancelled')")
        held.let_go()
        page.click("#strip li:nth-child(2) .thumb")
        page.until_done()
        page.click("#strip li:nth-child(1) .thumb")
        page.click("#status button")  # try again
        page.until_done(2)


def test_how_long_a_large_picture_will_take(opened):
    held = Held()
    with running(held.segmenter, Settings(name="slow")) as (port, service):
        service.about["seconds_per_megapixel"] = 50.0
        page = opened(url=f"http://127.0.0.1:{port}/")
        page.choose(("large.png", encoded(np.zeros((400, 600, 3), np.uint8))))
        page.wait("/about 1[012] s/.test(document.getElementById('status').textContent)")
        before = page.browser_page.evaluate("document.querySelector('progress').value")
        time.sleep(0.7)
        assert page.browser_page.evaluate("document.querySelector('progress').value") > before > 0
        held.let_go()
        page.until_done()


def test_a_full_queue_is_waited_for(opened):
    page = opened(expected=("503",))
    replies = iter([503])

    def busy(route) -> None:
        if next(replies, None):
            error = {"error": {"code": "queue_full", "message": "full"}}
            route.fulfill(status=503, headers={"Retry-After": "1"}, json=error)
        else:
            route.continue_()

    page.browser_page.route("**/v1/predict?*", busy)
    page.choose(("a.png", photo(1)))
    page.wait("document.getElementById('status').textContent.includes('trying again in 1 s')")
    page.until_done()


def test_what_took_too_long_is_not_asked_for_again_and_again(opened):
    page = opened(expected=("504",))
    asked = []

    def late(route) -> None:
        asked.append(route)
        error = {
            "error": {"code": "deadline_passed", "message": "not done within 60 seconds; try again later"}
        }
        route.fulfill(status=504, headers={"Retry-After": "1"}, json=error)

    page.browser_page.route("**/v1/predict?*", late)
    page.choose(("a.png", photo(1)))
    page.wait("document.getElementById('status').textContent.includes('not done within 60 seconds')")
    page.browser_page.wait_for_timeout(1500)
    assert len(asked) == 1


def test_a_service_that_goes_amid_a_request_and_comes_back(opened):
    """Nothing is lost: the picture is sent again, corrections stay."""
    page = opened(expected=("ERR_FAILED",))
    page.give()
    page.press("f")
    page.click("#legend button:has-text('blue')")
    page.drag((20, 15))
    painted = page.mask()
    page.browser_page.route("**/v1/**", lambda route: route.abort())
    page.choose(("a.png", photo(1)))
    page.wait("document.getElementById('status').textContent.includes('does not answer')")
    page.browser_page.unroute("**/v1/**")
    page.until_done(2)
    page.click("#strip li:nth-child(1) .thumb")
    np.testing.assert_array_equal(page.mask(), painted)


def test_a_token_is_asked_for(opened):
    with running(settings=Settings(token="secret"), ready=True) as (port, _):
        page = opened(url=f"http://127.0.0.1:{port}/", expected=("401",))
        page.wait("document.getElementById('ask').open")
        page.browser_page.fill("#token", "wrong")
        page.browser_page.keyboard.press("Enter")
        page.wait("document.getElementById('ask').open && !document.getElementById('token').value")
        page.browser_page.fill("#token", "secret")
        page.browser_page.keyboard.press("Enter")
        page.give()
        np.testing.assert_array_equal(page.mask(), TRUTH)


@pytest.mark.long
def test_a_model_that_does_not_load(opened):
    def damaged():
        raise BundleError("model.safetensors is damaged")

    with running(damaged, ready=False) as (port, _):
        page = opened(url=f"http://127.0.0.1:{port}/", expected=("503",))
        page.wait("document.getElementById('status').textContent.includes('does not load')")
        assert page.browser_page.is_visible("#status.bad")


@pytest.mark.long
def test_a_killed_service_is_started_again(opened):
    """With signal 9, amid a request, by the real program."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "fullconv", "serve", "camvid", "--port", str(port), "--threads", "1"]
    environment = {name: value for name, value in os.environ.items() if name != "FULLCONV_TOKEN"}

    def start() -> subprocess.Popen:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        assert process.stdout is not None
        assert process.stdout.readline().strip().endswith(str(port))
        return process

    first = start()
    try:
        page = opened(url=f"http://127.0.0.1:{port}/", expected=("503", "ERR_"))
        page.choose(("large.png", encoded(np.zeros((1600, 2400, 3), np.uint8))))
        page.wait("document.getElementById('status').textContent.includes('Labelling every pixel')")
        first.send_signal(signal.SIGKILL)
        page.wait("document.getElementById('status').textContent.includes('does not answer')")
        first.communicate(timeout=30)
        first = start()
        page.browser_page.set_default_timeout(120_000)
        page.until_done()
        assert "2400 × 1600" in page.text("#facts")
    finally:
        first.kill()
        first.communicate()
