"""Maps of values as pictures, and pictures beside their overlays."""

import math

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from fullconv.drawing import (
    PAPER,
    before_after,
    confidence_picture,
    entropy_picture,
    overlay,
    value_map,
)
from fullconv.drawing.maps import _ticks, scale_colors
from fullconv.errors import DataError
from fullconv.labels import LabelSet

LABELS = LabelSet(names=("sky", "road"), colors=((70, 130, 180), (128, 64, 128)))


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng([height, width]).integers(0, 256, (height, width, channels), np.uint8)


def ramp(height: int, width: int) -> np.ndarray:
    """(H, W) float32 from 0 at the left to 1 at the right."""
    return np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))


def lightness(colors: np.ndarray) -> np.ndarray:
    """L* of CIELAB, 0..100, of sRGB colours (..., 3) in 0..255. Source: IEC 61966-2-1; CIE 15."""
    part = colors / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    y = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(y > 216 / 24389, 116 * np.cbrt(y) - 16, y * 24389 / 27)


@pytest.mark.parametrize("draw", [confidence_picture, entropy_picture])
@pytest.mark.parametrize("size_hw", [(1, 1), (30, 40), (40, 30), (40, 40), (7, 300), (300, 7)])
def test_the_picture_keeps_its_size_in_the_upper_left_corner(draw, size_hw: tuple[int, int]) -> None:
    photo, values = noise(*size_hw), np.full(size_hw, 0.5, np.float32)
    before = photo.copy()
    alone, mounted = draw(photo, values, legend=False), draw(photo, values)
    height, width = size_hw
    assert alone.mode == mounted.mode == "RGB"
    assert alone.size == (width, height)
    assert mounted.crop((0, 0, width, height)).tobytes() == alone.tobytes()
    if width >= height:
        assert mounted.height > height
        assert mounted.getpixel((0, height)) == PAPER
    else:
        assert mounted.width > width
        assert mounted.getpixel((width, 0)) == PAPER
    assert (photo == before).all()


@pytest.mark.parametrize("scale", ["viridis", "magma"])
def test_without_a_picture_the_colours_are_those_of_matplotlib(scale) -> None:
    steps = np.arange(256, dtype=np.float32).reshape(8, 32) / 255
    painted = np.asarray(value_map(3 + 2 * steps, title="t", low=3, high=5, scale=scale, legend=False))
    expected = matplotlib.colormaps[scale](np.arange(256), bytes=True)[:, :3].reshape(8, 32, 3)
    assert (painted == expected).all()


@pytest.mark.parametrize("scale", ["viridis", "magma"])
def test_scales_rise_evenly_in_lightness(scale) -> None:
    light = lightness(scale_colors(scale).astype(float))
    assert light[-1] - light[0] > 75
    assert (np.diff(light[::8]) > 0.3 * (light[-1] - light[0]) / 32).all()


@pytest.mark.parametrize("value", [0, 90, 255])
@pytest.mark.parametrize("draw", [confidence_picture, entropy_picture])
def test_over_a_plain_picture_a_higher_value_is_lighter(draw, value: int) -> None:
    values = ramp(3, 400)
    painted = np.asarray(draw(np.full((3, 400, 3), value, np.uint8), values, legend=False))
    light = lightness(painted[1].astype(float))
    assert (np.diff(light) > -0.4).all()  # colours are rounded to whole numbers
    assert (np.diff(light[::20]) > 0).all()
    assert light[-1] - light[0] > 15


def test_a_pixel_is_a_blend_of_the_scale_and_the_picture_in_grey() -> None:
    photo, values = noise(40, 50), np.random.default_rng(0).random((40, 50))
    painted = np.asarray(entropy_picture(photo, values, legend=False)).astype(float)
    grey = 40 + 215 / 255 * (photo @ np.array([0.299, 0.587, 0.114]))
    expected = 0.55 * 255 * matplotlib.colormaps["magma"](values)[..., :3] + 0.45 * grey[..., None]
    assert np.abs(painted - expected).max() < 3  # the scale has 256 steps, each of up to 2.4


def test_the_picture_stays_recognisable() -> None:
    photo = np.repeat(noise(40, 50, 1), 3, axis=2)
    for draw in (confidence_picture, entropy_picture):
        for value in (0.0, 0.5, 1.0):
            painted = np.asarray(draw(photo, np.full((40, 50), value, np.float32), legend=False)).mean(axis=2)
            assert np.corrcoef(painted.ravel(), photo[..., 0].ravel())[0, 1] > 0.99
            assert np.ptp(painted) > 80


def test_values_beyond_the_scale_are_drawn_as_its_ends() -> None:
    values = np.array([[-9.0, 0.5, 0.75, 1.0, 1.0000002, 9.0]], np.float32)
    row = np.asarray(value_map(values, title="t", low=0.5, legend=False))[0]
    assert (row[0] == row[1]).all()
    assert (row[3:] == row[3]).all()
    assert not (row[2] == row[[1, 3]]).all(axis=1).any()


def test_the_low_end_of_confidence() -> None:
    photo, values = noise(9, 9), np.full((9, 9), 0.5)
    darkest = confidence_picture(photo, np.zeros((9, 9)), legend=False)
    assert confidence_picture(photo, values, low=0.5, legend=False).tobytes() == darkest.tobytes()
    assert confidence_picture(photo, values, legend=False).tobytes() != darkest.tobytes()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_type_of_the_floats_changes_nothing(dtype) -> None:
    values = (np.arange(64).reshape(8, 8) / 64).astype(dtype)
    wanted = entropy_picture(noise(8, 8), values.astype(np.float32)).tobytes()
    assert entropy_picture(noise(8, 8), values).tobytes() == wanted


def test_extra_channels_are_not_drawn() -> None:
    deep, values = noise(20, 30, 4), ramp(20, 30)
    rgb = np.ascontiguousarray(deep[..., :3])
    assert entropy_picture(deep, values).tobytes() == entropy_picture(rgb, values).tobytes()
    label_map = np.ones((20, 30), np.uint8)
    assert before_after(deep, label_map, LABELS).tobytes() == before_after(rgb, label_map, LABELS).tobytes()


def test_strips_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, values = noise(90, 70), np.random.default_rng(0).random((90, 70))
    label_map = (values > 0.5).astype(np.uint8)
    whole = [entropy_picture(photo, values).tobytes(), before_after(photo, label_map, LABELS).tobytes()]
    monkeypatch.setattr("fullconv.drawing.panels.STRIP", 500)
    assert [
        entropy_picture(photo, values).tobytes(),
        before_after(photo, label_map, LABELS).tobytes(),
    ] == whole


@pytest.mark.parametrize(
    ("photo", "values", "message"),
    [
        (
            noise(4, 5),
            np.ones((5, 4)),
            r"the map of values has shape \(5, 4\), its picture \(4, 5\); expected",
        ),
        (noise(4, 5), np.ones((4, 5), np.uint8), r"type uint8 and shape \(4, 5\); expected floats \(H, W\)"),
        (noise(4, 5), np.ones((1, 4, 5)), r"shape \(1, 4, 5\); expected floats \(H, W\)"),
        (noise(4, 5), np.ones((0, 5)), r"shape \(0, 5\); expected floats \(H, W\), not empty"),
        (noise(4, 5) / 255, np.ones((4, 5)), "type float64 .* expected uint8"),
    ],
)
def test_what_cannot_be_drawn_is_refused(photo: np.ndarray, values: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        confidence_picture(photo, values)


@pytest.mark.parametrize("strange", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("draw", [confidence_picture, entropy_picture])
def test_values_that_are_not_finite_are_refused_in_one_line(draw, strange: float) -> None:
    values = ramp(6, 9)
    values[4, 7] = values[5, 0] = strange
    with pytest.raises(
        DataError, match=f"holds {strange} in row 4, column 7; expected finite numbers"
    ) as caught:
        draw(noise(6, 9), values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (math.nan, 1)])
def test_a_scale_without_length_is_refused(low: float, high: float) -> None:
    with pytest.raises(DataError, match=f"goes from {low} to {high}; expected low < high"):
        value_map(ramp(3, 3), title="t", low=low, high=high)


@given(low=st.floats(-1e3, 1e3), length=st.floats(1e-3, 1e5))
def test_ticks_are_few_round_and_even(low: float, length: float) -> None:
    ticks = np.array(_ticks(low, low + length))
    assert 1 <= len(ticks) <= 5
    assert (ticks >= low - 1e-5 * length).all()
    assert (ticks <= low + 1.00001 * length).all()
    if len(ticks) > 1:
        step = ticks[1] - ticks[0]
        np.testing.assert_allclose(np.diff(ticks), step, rtol=1e-6, atol=1e-9)
        assert float(f"{step:.1e}") == pytest.approx(step, rel=1e-6)  # two figures say it
        assert length / 4.01 < step * 1.0001 < length * 1.01


def test_the_panel_says_what_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[float, str]] = []
    draw_text = ImageDraw.ImageDraw.text

    def remember(self, xy, text, *args, **options):
        seen.append((xy[0], text))
        return draw_text(self, xy, text, *args, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", remember)
    confidence_picture(noise(300, 400), ramp(300, 400), low=1 / 21)
    assert [text for _, text in sorted(seen)][-5:] == ["25 %", "50 %", "75 %", "100 %", "sure"]
    assert {"unsure", "Confidence: score of the predicted class"} <= {text for _, text in seen}
    seen.clear()
    entropy_picture(noise(300, 400), ramp(300, 400))
    words = [text for _, text in sorted(seen)]
    assert words[0] == "Entropy: how spread out the scores are"
    assert words[1:] == ["sure", "0", "0.25", "0.5", "0.75", "1", "unsure"]


def test_the_bar_has_the_colours_of_the_map() -> None:
    """Over a picture of middle grey, each colour of the map is found in the panel."""
    photo, values = np.full((100, 400, 3), 128, np.uint8), ramp(100, 400)
    image = np.asarray(confidence_picture(photo, values)).astype(int)
    panel = image[100:].reshape(-1, 3)
    for column in (0, 130, 270, 399):
        assert np.abs(panel - image[50, column]).max(axis=1).min() <= 2


@pytest.mark.parametrize("draw", [confidence_picture, entropy_picture])
def test_maps_are_deterministic(draw) -> None:
    assert draw(noise(30, 40), ramp(30, 40)).tobytes() == draw(noise(30, 40), ramp(30, 40)).tobytes()


@pytest.mark.parametrize("size_hw", [(1, 1), (60, 90), (90, 60), (50, 100)])
def test_before_stands_beside_after(size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    photo = noise(height, width)
    label_map = np.random.default_rng(0).choice(np.array([0, 1, 255], np.uint8), size_hw)
    image = before_after(photo, label_map, LABELS, opacity=0.3, legend=False)
    gap = image.width - 2 * width
    assert image.height == height
    assert gap == 4
    pixels = np.asarray(image)
    assert (pixels[:, :width] == photo).all()
    assert (pixels[:, width : width + gap] == PAPER).all()
    after = overlay(photo, label_map, LABELS, opacity=0.3, legend=False)
    assert (pixels[:, width + gap :] == np.asarray(after)).all()


def test_after_stands_below_a_panorama() -> None:
    photo, label_map = noise(50, 101), np.ones((50, 101), np.uint8)
    image = before_after(photo, label_map, LABELS, legend=False)
    assert image.size == (101, 104)
    pixels = np.asarray(image)
    assert (pixels[:50] == photo).all()
    assert (pixels[50:54] == PAPER).all()
    assert (pixels[54:] == np.asarray(overlay(photo, label_map, LABELS, legend=False))).all()


@pytest.mark.parametrize(("size_hw", "below"), [((300, 400), True), ((400, 300), True), ((400, 100), False)])
def test_the_legend_of_before_and_after(size_hw: tuple[int, int], below: bool) -> None:
    photo, label_map = noise(*size_hw), np.ones(size_hw, np.uint8)
    plain = before_after(photo, label_map, LABELS, legend=False)
    image = before_after(photo, label_map, LABELS)
    assert image.crop((0, 0, *plain.size)).tobytes() == plain.tobytes()
    assert (image.height > plain.height) == below
    assert (image.width > plain.width) != below
    colors = {color for _, color in image.getcolors(1 << 20) or []}
    assert LABELS.colors[1] in colors


def test_before_and_after_refuse_what_an_overlay_refuses() -> None:
    with pytest.raises(DataError, match=r"label map has shape \(5, 4\), its picture \(4, 5\)"):
        before_after(noise(4, 5), np.zeros((5, 4), np.uint8), LABELS)
    with pytest.raises(DataError, match=r"holds id 2; expected 0\.\.1"):
        before_after(noise(4, 5), np.full((4, 5), 2), LABELS)


def test_pictures_that_cannot_be_written_to_are_drawn() -> None:
    photo, values = noise(20, 30), ramp(20, 30)
    label_map = np.ones((20, 30), np.uint8)
    for array in (photo, values, label_map):
        array.flags.writeable = False
    turned = before_after(photo.transpose(1, 0, 2), label_map.T, LABELS, legend=False)
    assert isinstance(turned, Image.Image)
    assert turned.crop((0, 0, 20, 30)).tobytes() == photo.transpose(1, 0, 2).tobytes()
    assert entropy_picture(photo[::-1], values[:, ::-1], legend=False).size == (30, 20)
