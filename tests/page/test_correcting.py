"""Painting over a prediction, saving it, and the picture that comes next."""

import numpy as np
import pytest
from page_helpers import BLUE, COLORS, GREEN, PICTURE, RED, TRUTH, photo
from PIL import Image
from service_helpers import brightest, encoded

from fullconv.data.dataset import open_dataset
from fullconv.data.masks import read_mask
from fullconv.data.pictures import read_picture

pytestmark = pytest.mark.slow


def disc(radius: float, *places: tuple[float, float]) -> np.ndarray:
    """(60, 80) bool: the pixels whose middles lie in one of the discs."""
    y, x = np.mgrid[:60, :80] + 0.5
    return np.any([np.hypot(x - left, y - top) < radius for left, top in places], axis=0)


def test_a_brush_paints_the_chosen_class_where_it_goes(page):
    page.press("b")
    page.click("#legend button:has-text('blue')")
    page.set_range("#size", 10)
    page.drag((10.5, 15.5), (30.5, 15.5))
    mask = page.mask()
    stroke = disc(5, *[(x, 15.5) for x in np.arange(10.5, 30.6, 0.1)])
    assert (mask[disc(4, (10.5, 15.5), (20.5, 15.5), (30.5, 15.5))] == BLUE).all()
    changed = mask != TRUTH
    assert not (changed & ~disc(6.2, *[(x, 15.5) for x in np.arange(10.5, 30.6, 0.1)])).any()
    assert np.count_nonzero(changed ^ stroke) < 0.12 * np.count_nonzero(stroke)
    assert page.shares()["blue"] != "25 %"
    assert page.json()["corrected"]
    assert page.hover(20, 15).split() == ["blue", "corrected"]


def test_undo_and_redo(page):
    page.press("b")
    page.click("#legend button:has-text('green')")
    page.drag((10, 10), (30, 10))
    first = page.mask()
    page.drag((10, 40), (30, 40))
    second = page.mask()
    page.click("#undo")
    np.testing.assert_array_equal(page.mask(), first)
    page.press("Control+z")
    np.testing.assert_array_equal(page.mask(), TRUTH)
    assert page.browser_page.is_disabled("#undo")
    page.press("Control+Shift+z")
    page.press("Control+y")
    np.testing.assert_array_equal(page.mask(), second)
    page.click("#undo")
    page.drag((70, 50), (71, 50))
    assert page.browser_page.is_disabled("#redo")


def test_the_eraser_brings_back_what_the_model_said(page):
    page.press("f")
    page.click("#legend button:has-text('green')")
    page.drag((20, 15))
    page.press("e")
    page.set_range("#size", 100)
    page.drag((20, 15), (40, 30), (60, 45))
    np.testing.assert_array_equal(page.mask(), TRUTH)


def test_fill_turns_a_region_and_no_other(page):
    page.press("f")
    page.click("#legend button:has-text('green')")
    page.drag((60, 45))  # red touches the other red at a corner only
    wanted = TRUTH.copy()
    wanted[30:, 40:] = GREEN
    np.testing.assert_array_equal(page.mask(), wanted)
    page.drag((45, 10))  # is that class
    np.testing.assert_array_equal(page.mask(), wanted)
    page.click("#legend button:has-text('void')")
    page.drag((45, 10))
    wanted[:, 40:] = 255
    np.testing.assert_array_equal(page.mask(), wanted)
    page.click("#views button[data-name=mask]")
    assert (page.drawn(60, 45) == (224, 224, 192)).all()


def test_fill_reaches_all_of_a_winding_region(opened):
    """As scipy finds it."""
    from scipy import ndimage

    rng = np.random.default_rng(7)
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[..., 0] = 200
    picture[rng.random((60, 80)) < 0.42] = (0, 0, 200)
    truth = brightest(picture)
    page = opened()
    page.give(picture)
    regions = ndimage.label(truth == RED)[0]
    largest = np.bincount(regions.ravel())[1:].argmax() + 1
    y, x = np.argwhere(regions == largest)[0]
    page.press("f")
    page.click("#legend button:has-text('green')")
    page.drag((x + 0.5, y + 0.5))
    np.testing.assert_array_equal(page.mask(), np.where(regions == largest, GREEN, truth))


def test_the_brush_has_the_colour_of_its_class_and_the_right_button_picks_one(page):
    page.press("2", "b")
    page.browser_page.mouse.click(*page.on_screen(20, 45), button="right")
    page.settle()
    assert "blue" in page.text("#hint")
    page.drag((60, 15))
    assert (page.drawn(60, 15) == COLORS[BLUE]).all()


def test_a_single_pixel(page):
    page.press("b")
    page.click("#legend button:has-text('green')")
    page.set_range("#size", 1)
    page.drag((7.5, 9.5))
    wanted = TRUTH.copy()
    wanted[9, 7] = GREEN
    np.testing.assert_array_equal(page.mask(), wanted)
    page.press("]")
    assert page.text("#brushSize output") == "2 px"
    page.press("[")
    assert page.text("#brushSize output") == "1 px"


def test_painting_with_the_keyboard_alone(page):
    page.browser_page.focus("#canvas")
    page.press("Shift+ArrowLeft", "Shift+ArrowLeft", "Shift+ArrowUp")
    assert page.text("#tip").startswith("red")
    assert page.browser_page.text_content("#spoken").startswith("red")
    page.press("f")
    page.browser_page.focus("#legend button:has-text('blue')")
    page.browser_page.keyboard.press("Enter")
    page.browser_page.focus("#canvas")
    page.press("Enter")
    wanted = TRUTH.copy()
    wanted[:30, :40] = BLUE
    np.testing.assert_array_equal(page.mask(), wanted)
    page.press("Control+z")
    np.testing.assert_array_equal(page.mask(), TRUTH)


def test_fingers_paint_on_a_phone(opened):
    page = opened(phone=True)
    page.give()
    page.browser_page.tap("#tool button[data-name=fill]")
    page.browser_page.tap("#legend button:has-text('green')")
    page.browser_page.touchscreen.tap(*page.on_screen(20, 45))
    page.settle()
    wanted = TRUTH.copy()
    wanted[30:, :40] = GREEN
    np.testing.assert_array_equal(page.mask(), wanted)


def test_saved_for_training(opened, service):
    collected = service.root / "collected"
    picture = PICTURE.copy()
    picture[0, 0] = (201, 0, 0)  # a picture of this test's own
    page = opened()
    page.give(picture, "Straße 1.png")
    page.press("f")
    page.click("#legend button:has-text('blue')")
    page.drag((20, 15))
    before = service.one.collection.count()
    page.click("#save")
    page.wait("document.getElementById('save').textContent.startsWith('✓')")
    count = sum(service.one.collection.count().values())
    assert count == sum(before.values()) + 1
    assert page.text("#toast").startswith("Saved in collected")
    assert f"{count} picture" in page.text("#collected")
    samples = [sample for each in open_dataset(collected).splits.values() for sample in each]
    (sample,) = [sample for sample in samples if sample.name.startswith("Straße_1-")]
    wanted = brightest(picture)
    wanted[:30, :40] = BLUE
    np.testing.assert_array_equal(read_picture(sample.picture), picture)
    np.testing.assert_array_equal(read_mask(sample.mask, service.one.collection.labels), wanted)
    page.drag((60, 15))  # a further correction is to be saved, too
    assert page.text("#save") == "Save for training"
    page.click("#save")
    page.wait("document.getElementById('save').textContent.startsWith('✓')")
    wanted[:30, 40:] = BLUE
    np.testing.assert_array_equal(read_mask(sample.mask, service.one.collection.labels), wanted)
    assert sum(service.one.collection.count().values()) == count


def test_the_most_useful_pictures_come_first(opened, service):
    page = opened()
    page.wait("!document.getElementById('startWatch').hidden")
    page.browser_page.wait_for_function(
        "async () => { const state = await (await fetch('/v1/watch')).json(); return state.ranked === 3; }"
    )
    entropies = {}
    for seed in (3, 4, 5):
        picture = np.asarray(Image.open(service.root / "watched" / f"watched_{seed}.png"))
        scores = np.exp(8.0 * picture / 255)
        scores /= scores.sum(2, keepdims=True)
        entropies[f"watched_{seed}.png"] = -(scores * np.log(scores)).sum(2).mean()
    order = sorted(entropies, key=lambda name: -entropies[name])
    page.click("#startWatch")
    page.until_done()
    assert order[0] in page.text("#facts")
    page.until_done(2)  # the next one is got ready meanwhile
    page.click("#next")
    page.wait(f"document.getElementById('facts').textContent.includes('{order[1]}')")
    page.click("#save")
    page.wait("document.getElementById('save').textContent.startsWith('✓')")
    page.click("#next")
    page.wait(f"document.getElementById('facts').textContent.includes('{order[2]}')")
    assert "No more pictures" in page.text("#collected")
    again = opened()
    again.wait("!document.getElementById('startWatch').hidden")
    state = again.browser_page.evaluate("async () => (await fetch('/v1/watch')).json()")
    assert [each["name"] for each in state["pictures"]] == [order[0], order[2]]


@pytest.mark.long
def test_a_full_disk_is_said_and_the_correction_stays(opened, service):
    page = opened(expected=("507",))
    page.choose(("own.png", photo(99)))
    page.until_done()
    message = "the correction was not saved: the disk is full, or may not be written; free space there and save again"
    page.browser_page.route(
        "**/v1/collect",
        lambda route: (
            route.fulfill(status=507, json={"error": {"code": "storage_full", "message": message}})
            if route.request.method == "POST"
            else route.continue_()
        ),
    )
    page.press("f")
    page.click("#legend button:has-text('blue')")
    page.drag((20, 15))
    painted = page.mask()
    page.click("#save")
    page.wait("!document.getElementById('toast').hidden")
    assert page.text("#toast") == message
    assert page.text("#save") == "Save for training"
    np.testing.assert_array_equal(page.mask(), painted)
    page.browser_page.unroute("**/v1/collect")
    page.click("#save")
    page.wait("document.getElementById('save').textContent.startsWith('✓')")


@pytest.mark.long
def test_a_large_fill_is_undone(opened):
    picture = np.zeros((3000, 4000, 3), np.uint8)
    picture[..., 0] = 200
    page = opened()
    page.choose(("large.png", encoded(picture)))
    page.until_done()
    page.press("f")
    page.click("#legend button:has-text('blue')")
    page.browser_page.click("#canvas")
    assert page.json()["classes"] == {"blue": 1}
    page.press("Control+z")
    assert page.json()["classes"] == {"red": 1}
