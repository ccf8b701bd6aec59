"""Overlays and sample grids: sizes, colours, nothing covered, clear refusals."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from fullconv.drawing import CELL, INK, NEUTRAL, WRONG, overlay, sample_grid
from fullconv.errors import DataError
from fullconv.labels import VOC, LabelSet

ROADS = LabelSet(names=("sky", "road", "car"), colors=((70, 130, 180), (128, 64, 128), (200, 30, 10)))
BAG = LabelSet.from_names(["background", "bag"])


def picture(height: int, width: int, value: int = 100) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that is drawn."""
    seen: list[str] = []
    draw_text = ImageDraw.ImageDraw.text

    def remember(self, xy, text, *args, **options):
        seen.append(text)
        return draw_text(self, xy, text, *args, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", remember)
    return seen


def has_color(image: Image.Image, color: tuple[int, int, int]) -> bool:
    return bool((pixels(image) == color).all(axis=2).any())


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), seed=st.integers(0, 99), void=st.booleans())
def test_without_legend_the_size_is_the_pictures(height: int, width: int, seed: int, void: bool) -> None:
    rng = np.random.default_rng(seed)
    photo = rng.integers(0, 256, (height, width, 3), np.uint8)
    label_map = rng.choice(np.array([0, 1, 2, 255] if void else [0, 1, 2], np.uint8), (height, width))
    before = photo.copy(), label_map.copy()
    plain = overlay(photo, label_map, ROADS, legend=False)
    assert plain.mode == "RGB"
    assert plain.size == (width, height)
    assert (photo == before[0]).all()
    assert (label_map == before[1]).all()
    with_legend = overlay(photo, label_map, ROADS)
    assert (pixels(with_legend)[:height, :width] == pixels(plain)).all()
    assert with_legend.size > plain.size or with_legend.height > height


@pytest.mark.parametrize("opacity", [0.0, 0.25, 0.55, 0.9, 1.0])
def test_the_tint_is_a_blend_of_picture_and_class_colour(opacity: float) -> None:
    photo = np.random.default_rng(3).integers(0, 256, (50, 60, 3), np.uint8)
    tinted = pixels(overlay(photo, np.full((50, 60), 1), ROADS, opacity=opacity, legend=False))
    alpha = round(opacity * 255)  # opacities come in steps of 1/255
    expected = (photo.astype(int) * (255 - alpha) + np.array(ROADS.colors[1]) * alpha) / 255
    assert (tinted == np.round(expected)).all()


@pytest.mark.parametrize(("opacity", "expected"), [(0.0, (100, 100, 100)), (1.0, (128, 64, 128))])
def test_the_ends_of_opacity(opacity: float, expected: tuple[int, int, int]) -> None:
    tinted = overlay(picture(9, 9), np.ones((9, 9), np.uint8), ROADS, opacity=opacity, legend=False)
    assert (pixels(tinted) == expected).all()


def test_background_keeps_the_pictures_colours_and_another_class_0_does_not() -> None:
    label_map = np.zeros((12, 12), np.uint8)
    assert (pixels(overlay(picture(12, 12), label_map, BAG, legend=False)) == 100).all()
    assert (pixels(overlay(picture(12, 12), label_map, ROADS, legend=False)) != 100).any(axis=2).all()


def test_a_thin_outline_stands_between_classes() -> None:
    label_map = np.zeros((300, 300), np.uint8)
    label_map[100:200, 100:200] = 1
    painted = pixels(overlay(picture(300, 300), label_map, BAG, legend=False)).astype(int)
    tint = painted[150, 150]
    changed = (painted != 100).any(axis=2) & (painted != tint).any(axis=2)
    assert changed.sum() == 399  # four sides of 100 pixels, which share one corner
    assert (painted[changed] == [224, 224, 224]).all()  # four fifths of white over 100


@pytest.mark.parametrize(("side", "thickness"), [(300, 1), (1800, 2), (2700, 3)])
def test_outlines_widen_with_the_picture_and_are_centred_on_the_border(side: int, thickness: int) -> None:
    label_map = np.zeros((side, side), np.uint8)
    label_map[:, side // 2 :] = 1
    row = pixels(overlay(picture(side, side), label_map, BAG, legend=False))[side // 3]
    line = np.flatnonzero((row == 224).all(axis=1))
    assert len(line) == thickness
    assert (line[0] + line[-1]) / 2 == pytest.approx(side / 2 - 0.5, abs=0.5)


def test_outlines_are_paler_in_small_pictures() -> None:
    label_map = np.zeros((150, 150), np.uint8)
    label_map[:, 75:] = 1
    values = [
        pixels(overlay(picture(side, side), label_map[:side, -side:], BAG, legend=False)).max()
        for side in (150, 100)
    ]
    assert values == [193, 162]  # 0.75 and 0.5 of the strength at a side of 200


@settings(max_examples=25)
@given(height=st.integers(1, 12), width=st.integers(1, 12), seed=st.integers(0, 999))
def test_every_pixel_is_painted_by_the_rule(height: int, width: int, seed: int) -> None:
    """The rule pixel by pixel: a line where the pixel to the right or below is of another class, else the tint."""
    rng = np.random.default_rng(seed)
    photo = rng.integers(0, 256, (height, width, 3), np.uint8)
    label_map = rng.choice(np.array([0, 1, 255], np.uint8), (height, width), p=[0.45, 0.45, 0.1])
    painted = pixels(overlay(photo, label_map, BAG, legend=False))
    for y in range(height):
        for x in range(width):
            own = label_map[y, x]
            others = [
                label_map[other]
                for other in ((y + 1, x), (y, x + 1))
                if other[0] < height and other[1] < width
            ]
            if own == 255:
                continue  # hatched
            if any(other not in (own, 255) for other in others):
                color, alpha = (255, 255, 255), round(255 * 0.8 * 0.4)
            else:
                color, alpha = BAG.colors[own], (0 if own == 0 else round(255 * 0.55))
            expected = np.round((photo[y, x] * (255.0 - alpha) + np.array(color) * alpha) / 255)
            assert (painted[y, x] == expected).all(), (y, x)


def test_an_outline_is_dark_between_light_classes_and_the_same_all_around() -> None:
    labels = LabelSet(
        names=("background", "snow", "sand", "tar"),
        colors=((0, 0, 0), (250, 250, 250), (240, 220, 130), (9, 9, 9)),
    )
    around = np.zeros((240, 240), np.uint8)
    around[60:180, 60:180] = 1
    for inner, outer, light in ((1, 0, False), (1, 2, False), (3, 0, True), (3, 1, True), (1, 3, True)):
        label_map = np.where(around == 1, inner, outer)
        painted = pixels(overlay(picture(240, 240), label_map, labels, legend=False)).astype(int)
        for y, x in ((59, 120), (179, 120), (120, 59), (120, 179)):
            assert (painted[y, x].min() > 210) if light else (painted[y, x].max() < 62), (inner, outer, y, x)


@pytest.mark.parametrize("value", [0, 100, 255])
def test_void_is_hatched_on_any_picture_and_has_no_outline(value: int) -> None:
    label_map = np.ones((40, 40), np.uint8)
    label_map[:, 20:] = 255
    painted = pixels(overlay(picture(40, 40, value), label_map, ROADS, legend=False)).astype(int)
    void = painted[:, 20:]
    light, dark = (
        (np.abs(void - (0.6 * np.array(color) + 0.4 * value)) < 1).all(axis=2) for color in (NEUTRAL, INK)
    )
    plain = (void == value).all(axis=2)
    assert (light | dark | plain).all()
    for paint in (light, dark, plain):
        assert paint.mean() == pytest.approx(1 / 3, abs=0.02)
        assert (paint[1:, :-1] == paint[:-1, 1:]).all()  # diagonals
    assert np.ptp(void) > 70
    assert len(np.unique(painted[:, :20].reshape(-1, 3), axis=0)) == 1


@pytest.mark.parametrize(("height", "width", "below"), [(90, 120, True), (120, 90, False), (100, 100, True)])
def test_the_legend_stands_below_or_to_the_right(height: int, width: int, below: bool) -> None:
    image = overlay(picture(height, width), np.ones((height, width), np.uint8), ROADS)
    assert (image.height > height) == below
    assert (image.width > width) != below or image.height > height


def test_the_legend_shows_the_classes_present_in_their_colours() -> None:
    label_map = np.zeros((60, 400), np.uint8)
    label_map[:, 300:] = 2
    legend = overlay(picture(60, 400), label_map, ROADS).crop((0, 60, 400, 200))
    assert has_color(legend, ROADS.colors[0])
    assert has_color(legend, ROADS.colors[2])
    assert not has_color(legend, ROADS.colors[1])
    assert not has_color(legend, NEUTRAL)
    label_map[:10] = 255
    assert has_color(overlay(picture(60, 400), label_map, ROADS).crop((0, 60, 400, 200)), NEUTRAL)


def test_one_pixel() -> None:
    for value in (0, 1, 255):
        label_map = np.full((1, 1), value, np.uint8)
        assert overlay(picture(1, 1), label_map, BAG, legend=False).size == (1, 1)
        image = overlay(picture(1, 1), label_map, BAG)
        assert image.width > 50
        assert image.height > 12


def test_the_legend_grows_with_the_picture() -> None:
    heights = [
        overlay(picture(side, side), np.ones((side, side), np.uint8), ROADS).height - side
        for side in (300, 2400)
    ]
    assert heights[1] > 3 * heights[0]


def test_long_and_strange_names_fit(texts: list[str]) -> None:
    labels = LabelSet.from_names(["x" * 300, "a\nb", "标志", "<b>", "Straße", "знак"])
    label_map = np.arange(6, dtype=np.uint8).repeat(100).reshape(20, 30)
    assert overlay(picture(20, 30), label_map, labels).width < 450
    # of letters that no font here has, boxes would be drawn
    assert {"a b", "class 2", "<b>", "Straße", "знак"} <= set(texts)
    assert any(text.startswith("xxx") and "…" in text for text in texts)


def test_letters_beyond_ascii_are_drawn() -> None:
    legends = [
        overlay(picture(20, 20), np.zeros((20, 20), np.uint8), LabelSet.from_names([name])).tobytes()
        for name in ("ä", "ö", "ж")
    ]
    assert len(set(legends)) == 3


def test_a_legend_of_many_classes_uses_several_columns() -> None:
    labels = LabelSet.from_names([f"a rather long class name, number {i}" for i in range(40)])
    label_map = (np.arange(360 * 480) % 40).astype(np.uint8).reshape(360, 480)
    image = overlay(picture(360, 480), label_map, labels)
    assert image.height < 2.5 * 360
    assert image.width < 1.5 * 480
    few = overlay(picture(360, 480), label_map // 20, labels)
    assert few.width == 480  # what has room below the picture does not stick out


def test_the_type_of_the_ids_changes_nothing() -> None:
    """Nor does the number of classes, though above 251 the ids take two bytes each."""
    names = [f"class {i}" for i in range(400)]
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (48, 64, 3), np.uint8)
    label_map = rng.choice(np.array([0, 1, 2, 7, 250, 255], np.uint8), (6, 8)).repeat(8, 0).repeat(8, 1)
    images = [
        overlay(photo, label_map.astype(dtype), LabelSet.from_names(names[:count])).tobytes()
        for dtype, count in (
            (np.uint8, 251),
            (np.int64, 251),
            (np.uint8, 252),
            (np.uint16, 256),
            (np.int32, 400),
        )
    ]
    assert set(images) == {images[0]}


def test_strips_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    photo = rng.integers(0, 256, (1900, 1000, 3), np.uint8)
    label_map = rng.choice(np.array([0, 1, 2, 255], np.uint8), (38, 20)).repeat(50, 0).repeat(50, 1)
    whole = overlay(photo, label_map, ROADS, legend=False)
    monkeypatch.setattr("fullconv.drawing.panels.STRIP", 3000)
    assert overlay(photo, label_map, ROADS, legend=False).tobytes() == whole.tobytes()


def test_overlays_are_deterministic() -> None:
    label_map = np.arange(3, dtype=np.uint8).repeat(100).reshape(15, 20)
    images = [overlay(picture(15, 20), label_map, ROADS).tobytes() for _ in range(2)]
    assert images[0] == images[1]


def test_many_classes_and_ids_above_255() -> None:
    labels = LabelSet(
        names=tuple(f"class {i}" for i in range(300)),
        colors=tuple((i % 256, i // 256, 9) for i in range(300)),
    )
    label_map = np.arange(300, dtype=np.uint16).reshape(15, 20)
    assert overlay(picture(15, 20), label_map, labels, legend=False, opacity=1).size == (20, 15)
    assert overlay(picture(15, 20), label_map, labels).height > 15


@pytest.mark.parametrize(
    ("photo", "label_map", "message"),
    [
        (
            picture(4, 5),
            np.zeros((5, 4), np.uint8),
            r"label map has shape \(5, 4\), its picture \(4, 5\); expected",
        ),
        (picture(4, 5), np.full((4, 5), 9, np.uint8), r"holds id 9; expected 0\.\.2, or 255 for void"),
        (picture(4, 5), np.full((4, 5), -1), r"holds id -1; expected 0\.\.2, or 255 for void"),
        (
            picture(4, 5),
            np.full((4, 5), 1 << 40),
            r"holds id 1099511627776; expected 0\.\.2, or 255 for void",
        ),
        (picture(4, 5), np.full((4, 5), 1.0), r"type float64; expected integers, such as uint8"),
        (
            picture(4, 5)[..., 0],
            np.zeros((4, 5), np.uint8),
            r"shape \(4, 5\); expected uint8 \(H, W, 3\) or more channels",
        ),
        (picture(4, 5) / 255, np.zeros((4, 5), np.uint8), r"type float64 .* expected uint8"),
        (picture(0, 5), np.zeros((0, 5), np.uint8), r"shape \(0, 5, 3\); .*not empty"),
    ],
)
def test_what_cannot_be_drawn_is_refused(photo: np.ndarray, label_map: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        overlay(photo, label_map, ROADS)


@pytest.mark.parametrize("opacity", [-0.1, 1.1, float("nan")])
def test_opacities_outside_of_0_to_1_are_refused(opacity: float) -> None:
    with pytest.raises(DataError, match=rf"opacity of an overlay is {opacity}; expected 0\.\.1"):
        overlay(picture(4, 5), np.zeros((4, 5), np.uint8), ROADS, opacity=opacity)


def grid_of(sizes: list[tuple[int, int]], **options) -> Image.Image:
    photos = [picture(*size) for size in sizes]
    predictions = [np.ones(size, np.uint8) for size in sizes]
    truths = [np.ones(size, np.uint8) for size in sizes]
    truths[0][: sizes[0][0] // 2] = 2
    truths[0][:, : sizes[0][1] // 4] = 255
    return sample_grid(photos, predictions, truths, ROADS, **options)


def test_a_grid_of_mixed_sizes_has_regular_columns() -> None:
    wide, mixed = grid_of([(120, 160)] * 3), grid_of([(120, 160), (160, 120), (7, 9)])
    assert wide.mode == "RGB"
    assert wide.width > 3 * CELL
    assert wide.height > 4 * CELL * 3 // 4
    assert mixed.width == wide.width
    assert mixed.height == wide.height + 4 * (CELL - CELL * 3 // 4)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3000, 2000)])
def test_a_grid_of_extreme_sizes(size: tuple[int, int]) -> None:
    grid = grid_of([size, size])
    assert grid.height < 5 * CELL + 200
    assert grid.width < 2 * CELL + 300


def test_a_grid_shows_truth_void_and_errors_in_their_colours() -> None:
    grid = grid_of([(120, 160)])
    area = [
        (pixels(grid) == color).all(axis=2).sum() / (CELL * CELL * 3 / 4)
        for color in (*ROADS.colors[1:], NEUTRAL)
    ]
    assert area[0] == pytest.approx(1 + 3 / 8, abs=0.03)  # the prediction, and what truth agrees with
    assert area[1] == pytest.approx(3 / 8, abs=0.03)  # the truth where it differs
    assert area[2] == pytest.approx(2 / 4, abs=0.03)  # void, in truth and in errors
    wrong = (pixels(grid) == WRONG).all(axis=2).sum() / (CELL * CELL * 3 / 4)
    assert wrong == pytest.approx(3 / 8, abs=0.03)


def test_the_grids_figure_leaves_void_out(texts: list[str]) -> None:
    grid_of([(120, 160), (8, 8)], names=["first", "second, with a name too long for its column, truly"])
    assert texts.count("50.0 % wrong") == 1
    assert texts.count("0 % wrong") == 1
    assert {"picture", "prediction", "truth", "errors", "first", "road", "car", "void", "wrong"} <= set(texts)
    assert "sky" not in texts
    assert any(text.startswith("second") and "…" in text for text in texts)


def test_a_grid_without_any_truth() -> None:
    truth = np.full((5, 5), 255, np.uint8)
    assert sample_grid([picture(5, 5)], [np.zeros((5, 5), np.uint8)], [truth], VOC).width > CELL


def test_grids_are_deterministic() -> None:
    assert grid_of([(12, 16), (16, 12)]).tobytes() == grid_of([(12, 16), (16, 12)]).tobytes()


def test_a_grid_refuses_lists_that_do_not_match() -> None:
    with pytest.raises(DataError, match="got 0 pictures, 0 predictions, 0 truths; expected the same number"):
        sample_grid([], [], [], ROADS)
    label_map = np.zeros((4, 5), np.uint8)
    with pytest.raises(DataError, match="got 1 pictures, 2 predictions, 1 truths;"):
        sample_grid([picture(4, 5)], [label_map] * 2, [label_map], ROADS)
    with pytest.raises(DataError, match="and 2 names; expected"):
        sample_grid([picture(4, 5)], [label_map], [label_map], ROADS, names=["a", "b"])
    with pytest.raises(DataError, match=r"the truth has shape \(5, 4\), its picture \(4, 5\)"):
        sample_grid([picture(4, 5)], [label_map], [label_map.T], ROADS)
    with pytest.raises(DataError, match="holds id 7"):
        sample_grid([picture(4, 5)], [label_map + 7], [label_map], ROADS)


def test_real_pictures(real_data: Path) -> None:
    root = real_data / "camvid"
    classes = yaml.safe_load((root / "dataset.yaml").read_text())["classes"]
    labels = LabelSet(
        names=tuple(entry["name"] for entry in classes),
        colors=tuple(tuple(entry["color"]) for entry in classes),
    )
    photo_path = sorted((root / "images" / "val").glob("*.jpg"))[0]
    with Image.open(photo_path) as file:
        photo = np.asarray(file.convert("RGB"))
    with Image.open(root / "masks" / "val" / f"{photo_path.stem}.png") as file:
        truth = np.array(file)
    truth[truth == 11] = 255
    assert overlay(photo, truth, labels).width == photo.shape[1]
    assert sample_grid([photo], [np.where(truth == 255, 0, truth)], [truth], labels).height > 4 * 150


def test_three_rows_are_the_first_three_of_four() -> None:
    four, three = (grid_of([(120, 160), (160, 120)], errors=errors) for errors in (True, False))
    cell, gap, legend = CELL, 8, 60
    assert three.width == four.width
    assert four.height - three.height == cell + gap
    top = three.height - legend - 24
    assert (pixels(three)[:top] == pixels(four)[:top]).all()
    assert not has_color(three, WRONG)
    assert has_color(four, WRONG)


def test_the_captions_of_three_rows(texts: list[str]) -> None:
    grid_of([(120, 160)], errors=False)
    assert [text for text in texts if text in ("picture", "prediction", "truth", "errors", "wrong")] == [
        "picture",
        "prediction",
        "truth",
    ]


def test_extra_channels_are_not_drawn() -> None:
    rng = np.random.default_rng(0)
    deep = rng.integers(0, 256, (20, 30, 4), np.uint8)
    rgb, label_map = np.ascontiguousarray(deep[..., :3]), np.ones((20, 30), np.uint8)
    assert overlay(deep, label_map, ROADS).tobytes() == overlay(rgb, label_map, ROADS).tobytes()
    grids = [sample_grid([photo], [label_map], [label_map], ROADS).tobytes() for photo in (deep, rgb)]
    assert grids[0] == grids[1]
