"""Giving pictures to the page and looking at what it says of them."""

import io
import re

import numpy as np
import pytest
from page_helpers import BLUE, COLORS, GREEN, PICTURE, RED, TRUTH, photo, scores_at
from PIL import Image
from service_helpers import LABELS, brightest, encoded

SURE_RED, UNSURE_GREEN, SURE_BLUE, UNSURE_RED = (20, 15), (60, 15), (20, 45), (60, 45)
NEAR = 3
"""Colours that were blended or scaled may be off by so much."""


def assert_near(color: np.ndarray, wanted) -> None:
    assert np.abs(color.astype(int) - np.asarray(wanted).astype(int)).max() <= NEAR, (color, wanted)


def test_before_a_picture_is_given(opened):
    page = opened()
    page.wait("!document.getElementById('examples').hidden")
    assert "colours tells 3 classes apart" in page.text("#drop")
    assert page.text("#palette").split() == ["red", "green", "blue"]
    assert "JPEG" in page.text("#formats")
    assert page.browser_page.title() == "colours · fullconv"
    assert not page.browser_page.is_visible("#side")
    assert not page.browser_page.is_visible("#camera")  # there is no touch screen


def test_in_chinese_and_back(opened):
    page = opened(language="zh-CN")
    page.wait("document.getElementById('knows').textContent")
    assert page.browser_page.get_attribute("html", "lang") == "zh-CN"
    assert "可区分 3 个类别" in page.text("#drop")
    page.give()
    assert "类别" in page.text("#side")
    assert page.text("#views").split() == ["叠加", "掩码", "对比", "置信度", "熵"]
    assert "置信度 99%" in page.hover(*SURE_RED)
    page.click("#help")
    assert "方向键" in page.text("#about")
    page.press("Escape")
    page.click("#language")
    assert "Classes" in page.text("#side")
    assert page.browser_page.get_attribute("html", "lang") == "en"
    page.browser_page.reload()
    page.wait("document.getElementById('knows').textContent")
    assert "tells 3 classes apart" in page.text("#drop")  # it is remembered


def test_no_word_is_missing_in_either_language(opened):
    known = opened().browser_page.evaluate(
        """async () => {
          const { words, otherLanguage } = await import("/static/words.js");
          const inside = (value) => (value && typeof value === "object" && !Array.isArray(value) ? Object.keys(value) : []);
          const pairs = ([key, value]) => [key, typeof value, ...inside(value)];
          const keys = ({ codes, ...one }) => Object.entries(one).flatMap(pairs).sort();
          const first = words();
          otherLanguage();
          const second = words();
          otherLanguage();
          return [keys(first), keys(second), first.keyList.length, second.keyList.length];
        }"""
    )
    assert known[0] == known[1]
    assert known[2] == known[3]


@pytest.mark.parametrize("way", ["choose", "drop", "paste"])
def test_several_pictures_at_once(opened, way):
    page = opened()
    files = [("a.png", photo(1)), ("b.png", photo(2)), ("c.png", photo(3))]
    page.choose(*files) if way == "choose" else page.hand_over(way, *files)
    page.until_done(3)
    for index, (name, content) in enumerate(files):
        page.click(f"#strip li:nth-child({index + 1}) .thumb")
        truth = brightest(np.asarray(Image.open(io.BytesIO(content))))
        for label, said in enumerate(page.shares().items()):
            assert said[0] in LABELS.names, label
            assert float(said[1].removesuffix(" %")) == pytest.approx(
                100 * (truth == LABELS.names.index(said[0])).mean(), abs=0.51
            )
        assert name in page.text("#facts")
    page.press("PageUp")
    assert "b.png" in page.text("#facts")
    page.press("Delete")
    assert page.browser_page.locator("#strip li").count() == 2
    assert "c.png" in page.text("#facts")


@pytest.mark.slow
def test_an_example(opened):
    page = opened()
    page.click("#examples button >> nth=1")
    page.until_done()
    assert "examples_2.png" in page.text("#facts")


@pytest.mark.slow
def test_shares_and_what_is_under_the_pointer(page):
    assert page.shares() == {"red": "50 %", "green": "25 %", "blue": "25 %"}
    for (x, y), label in ((SURE_RED, RED), (UNSURE_GREEN, GREEN), (SURE_BLUE, BLUE), (UNSURE_RED, RED)):
        said = page.hover(x, y)
        assert said.split()[0] == LABELS.names[label]
        assert int(re.search(r"\d+", said)[0]) == pytest.approx(100 * scores_at(y, x)[label], abs=1)
    assert page.hover(-1.5, 20) == ""


@pytest.mark.slow
def test_the_pixels_at_edges_are_the_pictures_own(page):
    """The pointer reads the very pixel that it stands on."""
    assert page.hover(39.9, 29.9).startswith("red")
    assert page.hover(40.1, 29.9).startswith("green")
    assert page.hover(39.9, 30.1).startswith("blue")
    assert page.hover(0.1, 59.9).startswith("blue")


@pytest.mark.slow
def test_what_is_said_follows_the_picture_under_a_resting_pointer(page):
    assert page.hover(60, 15).startswith("green")
    page.press("b")
    page.click("#legend button:has-text('blue')")
    page.hover(60, 15)
    page.browser_page.mouse.down()
    page.browser_page.mouse.up()
    page.settle()
    assert page.text("#tip").split() == ["blue", "corrected"]


@pytest.mark.slow
def test_overlay_and_its_opacity(page):
    for opacity in (0, 30, 100):
        page.set_range("#opacity input", opacity)
        for x, y in (SURE_RED, UNSURE_GREEN, SURE_BLUE):
            share = opacity / 100
            assert_near(page.drawn(x, y), share * COLORS[TRUTH[y, x]] + (1 - share) * PICTURE[y, x])
    page.browser_page.focus("#canvas")
    page.browser_page.keyboard.down(" ")
    page.settle()
    assert_near(page.drawn(*SURE_RED), PICTURE[15, 20])
    page.browser_page.keyboard.up(" ")
    page.settle()
    assert_near(page.drawn(*SURE_RED), COLORS[RED])


@pytest.mark.slow
def test_mask_confidence_and_entropy(page):
    page.press("2")
    for x, y in (SURE_RED, UNSURE_GREEN, SURE_BLUE, UNSURE_RED):
        assert (page.drawn(x, y) == COLORS[TRUTH[y, x]]).all()
    page.press("4")
    assert page.drawn(*SURE_RED).sum() > page.drawn(*UNSURE_RED).sum() + 100
    assert page.browser_page.is_visible("#scale")
    page.press("5")
    assert page.drawn(*SURE_RED).sum() + 100 < page.drawn(*UNSURE_RED).sum()
    scores = scores_at(45, 60)
    entropy = 100 * -(scores * np.log(scores)).sum() / np.log(3)
    assert int(re.search(r"\d+", page.hover(*UNSURE_RED))[0]) == pytest.approx(entropy, abs=1)
    page.click("#views button[data-name=overlay]")
    assert page.browser_page.is_visible("#opacity")


@pytest.mark.slow
def test_before_and_after(page):
    page.press("3")
    page.set_range("#opacity input", 100)
    assert_near(page.drawn(20, 15), PICTURE[15, 20])
    assert_near(page.drawn(60, 15), COLORS[GREEN])
    box = page.browser_page.locator("#slider").bounding_box()
    mouse = page.browser_page.mouse
    mouse.move(box["x"] + box["width"] / 2, box["y"] + 90)
    mouse.down()
    mouse.move(*page.on_screen(10, 15), steps=3)
    mouse.up()
    page.settle()
    assert_near(page.drawn(20, 15), COLORS[RED])
    assert page.browser_page.get_attribute("#slider", "aria-valuenow") in ("12", "13")
    page.browser_page.focus("#slider")
    page.press("End")
    assert_near(page.drawn(60, 15), PICTURE[15, 60])
    page.press("ArrowLeft")
    assert page.browser_page.get_attribute("#slider", "aria-valuenow") == "98"


@pytest.mark.slow
def test_hide_and_solo(page):
    page.set_range("#opacity input", 100)
    page.click("#legend li:has-text('red') input")
    assert_near(page.drawn(*SURE_RED), PICTURE[15, 20])
    assert_near(page.drawn(*SURE_BLUE), COLORS[BLUE])
    page.click("#all")
    assert_near(page.drawn(*SURE_RED), COLORS[RED])
    page.click("#legend button:has-text('blue')")
    assert_near(page.drawn(*SURE_RED), PICTURE[15, 20])
    assert_near(page.drawn(*SURE_BLUE), COLORS[BLUE])
    assert page.browser_page.get_attribute("#legend button:has-text('blue')", "aria-pressed") == "true"
    page.click("#legend button:has-text('blue')")
    assert_near(page.drawn(*SURE_RED), COLORS[RED])
    assert not page.browser_page.is_visible("#all")


@pytest.mark.slow
def test_zoom_keeps_what_is_under_the_pointer_and_dragging_moves_it(page):
    page.press("2")
    x, y = page.on_screen(50, 20)
    page.browser_page.mouse.move(x, y)
    for _ in range(6):
        page.browser_page.mouse.wheel(0, -240)
    page.settle()
    assert page.browser_page.inner_text("#tip").startswith("green")
    zoomed = int(page.text("#zoom .percent").removesuffix(" %"))
    assert zoomed > 2000
    page.browser_page.mouse.down()
    page.browser_page.mouse.move(x + 250, y, steps=4)
    page.browser_page.mouse.up()
    page.settle()
    box = page.browser_page.locator("#canvas").bounding_box()
    assert (page.canvas_pixel(x + 250 - box["x"], y - box["y"]) == COLORS[GREEN]).all()
    page.press("0")
    assert (page.drawn(*SURE_RED) == COLORS[RED]).all()
    page.click("[data-zoom=one]")
    assert page.text("#zoom .percent") == "100 %"
    page.press("+")
    assert page.text("#zoom .percent") == "150 %"
    for _ in range(99):
        page.browser_page.keyboard.press("ArrowLeft")
    page.settle()
    page.click("[data-zoom=fit]")
    assert (page.drawn(*SURE_BLUE) == COLORS[BLUE]).all()


@pytest.mark.slow
def test_downloads(page):
    name, content = page.downloaded("#getMask")
    mask = Image.open(io.BytesIO(content))
    assert (name, mask.mode) == ("four_mask.png", "P")
    np.testing.assert_array_equal(np.asarray(mask), TRUTH)
    np.testing.assert_array_equal(np.array(mask.getpalette()).reshape(-1, 3)[:3], COLORS)
    page.set_range("#opacity input", 100)
    name, content = page.downloaded("#getOverlay")
    overlay = np.asarray(Image.open(io.BytesIO(content)))
    assert (name, overlay.shape) == ("four_overlay.jpg", PICTURE.shape)
    assert np.abs(overlay[45, 20].astype(int) - COLORS[BLUE]).max() < 20  # JPEG
    told = page.json()
    assert told["classes"] == {"red": 0.5, "green": 0.25, "blue": 0.25}
    assert (told["source"], told["corrected"], told["width"]) == ("four.png", False, 80)


def turned(turn: int) -> bytes:
    """A JPEG, blue but for one corner, that is to be turned."""
    picture = np.zeros((30, 50, 3), np.uint8)
    picture[..., 2] = 200
    picture[:10, :15] = (220, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = turn
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=100, subsampling=0, exif=exif)
    return stream.getvalue()


def as_the_browser_shows_it(page, content: bytes) -> np.ndarray:
    """(H, W, 3) uint8, from an <img> element."""
    width, height, *pixels = page.browser_page.evaluate(
        """async (content) => {
          const image = new Image();
          image.src = URL.createObjectURL(new Blob([Uint8Array.from(content)], { type: "image/jpeg" }));
          await image.decode();
          const { naturalWidth: width, naturalHeight: height } = image;
          const context = new OffscreenCanvas(width, height).getContext("2d");
          context.drawImage(image, 0, 0);
          return [width, height, ...context.getImageData(0, 0, width, height).data];
        }""",
        list(content),
    )
    return np.array(pixels, np.uint8).reshape(height, width, 4)[..., :3]


@pytest.mark.slow
def test_the_mask_lies_on_the_picture_as_the_browser_shows_it(opened):
    """For all eight EXIF orientations."""
    page = opened()
    page.choose(*((f"turned_{turn}.jpg", turned(turn)) for turn in range(1, 9)))
    page.until_done(8)
    corners = set()
    for turn in range(1, 9):
        page.click(f"#strip li:nth-child({turn}) .thumb")
        page.wait(f"document.getElementById('facts').textContent.includes('turned_{turn}')")
        truth = brightest(as_the_browser_shows_it(page, turned(turn)))
        height, width = truth.shape
        assert (height, width) == ((30, 50) if turn < 5 else (50, 30))
        np.testing.assert_array_equal(page.mask(), truth)
        for opacity in (0, 100):  # the picture, then the classes
            page.set_range("#opacity input", opacity)
            for x, y in ((3, 3), (width - 4, 3), (3, height - 4), (width - 4, height - 4)):
                red, _, blue = page.drawn(x, y, (width, height))
                assert (red > blue) == (truth[y, x] == RED)
        corners.add((truth[0, 0], truth[0, -1], truth[-1, 0], truth[-1, -1], height))
    assert len(corners) == 8


@pytest.mark.long
def test_a_large_picture(opened):
    """All of it goes through, and the page can be used meanwhile."""
    page = opened()
    cells = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    large = cells.repeat(40, 0).repeat(40, 1)
    page.choose(("large.png", encoded(large)))
    page.until_done()
    assert "2800 × 2000" in page.text("#facts")
    np.testing.assert_array_equal(page.mask(), brightest(large))
