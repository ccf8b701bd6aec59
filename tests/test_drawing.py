"""Overlays and sample grids: sizes, colours, nothing covered, clear refusals."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fullconv.drawing import CELL, NEUTRAL, WRONG, overlay, sample_grid
from fullconv.errors import DataError
from fullconv.labels import VOC, LabelSet

ROADS = LabelSet(names=("sky", "road", "car"), colors=((70, 130, 180), (128, 64, 128), (200, 30, 10)))
BAG = LabelSet.from_names(["background", "bag"])


def picture(height: int, width: int, value: int = 100) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


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


def test_the_tint_is_a_blend_of_picture_and_class_colour() -> None:
    tinted = pixels(overlay(picture(20, 20), np.full((20, 20), 1), ROADS, opacity=0.25, legend=False))
    expected = 0.75 * 100 + 0.25 * np.array(ROADS.colors[1])
    assert np.abs(tinted.astype(float) - expected).max() <= 1


@pytest.mark.parametrize(("opacity", "expected"), [(0.0, (100, 100, 100)), (1.0, (128, 64, 128))])
def test_the_ends_of_opacity(opacity: float, expected: tuple[int, int, int]) -> None:
    tinted = overlay(picture(9, 9), np.ones((9, 9), np.uint8), ROADS, opacity=opacity, legend=False)
    assert (pixels(tinted) == expected).all()


def test_background_keeps_the_pictures_colours_and_another_class_0_does_not() -> None:
    label_map = np.zeros((12, 12), np.uint8)
    assert (pixels(overlay(picture(12, 12), label_map, BAG, legend=False)) == 100).all()
    assert (pixels(overlay(picture(12, 12), label_map, ROADS, legend=False)) != 100).any(axis=2).all()


def test_a_thin_outline_stands_between_classes() -> None:
    label_map = np.zeros((30, 30), np.uint8)
    label_map[10:20, 10:20] = 1
    painted = pixels(overlay(picture(30, 30), label_map, BAG, legend=False)).astype(int)
    tint = painted[15, 15]
    changed = (painted != 100).any(axis=2) & (painted != tint).any(axis=2)
    assert changed.sum() == 39  # four sides of 10 pixels, which share one corner
    assert painted[changed].min() > 200  # white, since both classes are dark


def test_void_is_hatched_and_has_no_outline() -> None:
    label_map = np.ones((40, 40), np.uint8)
    label_map[:, 20:] = 255
    painted = pixels(overlay(picture(40, 40), label_map, ROADS, legend=False))
    stripes = (painted[:, 20:] != 100).any(axis=2)
    assert 0.2 < stripes.mean() < 0.6
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


def test_long_and_strange_names_fit() -> None:
    labels = LabelSet.from_names(["x" * 300, "a\nb", "标志", "<b>"])
    label_map = np.arange(4, dtype=np.uint8).repeat(100).reshape(20, 20)
    assert overlay(picture(20, 20), label_map, labels).width < 450


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


def test_the_grids_figure_leaves_void_out(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    from PIL import ImageDraw

    draw_text = ImageDraw.ImageDraw.text

    def remember(self, xy, text, *args, **options):
        texts.append(text)
        return draw_text(self, xy, text, *args, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", remember)
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


def test_the_captions_of_three_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageDraw

    texts: list[str] = []
    draw_text = ImageDraw.ImageDraw.text

    def remember(self, xy, text, *args, **options):
        texts.append(text)
        return draw_text(self, xy, text, *args, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", remember)
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
