"""Inline SVG plots: well formed, self-contained, deterministic, with the numbers that were given."""

import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullconv.reporting.plots import MAX_POINTS, _smooth, _thin, confusion_svg, curves_svg


def step(epoch: float, loss: float = 1.0, lr: float = 0.01) -> dict:
    return {"epoch": epoch, "loss": loss, "lr": lr}


def epoch(number: int, mean_iou: float | None, pixel_accuracy: float = 0.9) -> dict:
    return {"epoch": number, "val": {"mean_iou": mean_iou, "pixel_accuracy": pixel_accuracy}}


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("text")]


def all_kinds() -> list[str]:
    steps = [step(i / 10, 2 / (i + 1)) for i in range(1, 60)]
    return [*curves_svg(steps, [epoch(1, 0.2), epoch(2, 0.5)]), confusion_svg([[3, 1], [2, 5]], ["a", "b"])]


def test_the_plots_are_one_element_without_addresses() -> None:
    for svg in all_kinds():
        assert ElementTree.fromstring(svg).tag == "svg"
        assert "http" not in svg
        assert "<style" not in svg
        assert set(re.findall(r'href="(.)', svg)) <= {"#", "d"}


def test_ids_of_several_plots_do_not_clash() -> None:
    plots = all_kinds()
    ids = [found for svg in plots for found in re.findall(r'\bid="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))
    for svg in plots:
        used = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg)
        assert {a or b for a, b in used} <= set(re.findall(r'\bid="([^"]+)"', svg))


def test_the_plots_are_deterministic_and_leave_the_settings_alone() -> None:
    before = dict(matplotlib.rcParams)
    assert all_kinds() == all_kinds()
    assert dict(matplotlib.rcParams) == before


def test_colours_follow_the_page() -> None:
    for svg in all_kinds():
        assert "var(--ink, #1b2330)" in svg
        assert not re.search(r"(?<!, )#1b2330", svg)


def test_the_best_epoch_is_named() -> None:
    scores = curves_svg([step(1)], [epoch(1, 0.25), epoch(2, 0.625), epoch(3, 0.5)])[1]
    assert "best 62.5 %" in texts(scores)


@pytest.mark.parametrize("ceiling", [0.804, 0.985, 1.0])
def test_the_ceiling_is_drawn_where_it_is_known(ceiling: float) -> None:
    scored = epoch(1, 0.25)
    assert not [text for text in texts(curves_svg([step(1)], [scored])[1]) if "ceiling" in text]
    scored["val"] |= {"stride": 8, "stride_ceiling": {"16": 0.7, "8": ceiling}}
    found = texts(curves_svg([step(1)], [scored])[1])
    assert f"ceiling of mean IU {100 * ceiling:.1f} %" in found


def test_epochs_without_validation_are_left_out() -> None:
    assert curves_svg([step(1)], [{"epoch": 1, "val": None}, epoch(2, None)])[1] == ""
    assert "best 30.0 %" in texts(curves_svg([step(1)], [{"epoch": 1, "val": None}, epoch(2, 0.3)])[1])


@pytest.mark.parametrize(
    "steps",
    [
        [step(0.1)],
        [step(0.1, 0.0, 0.0)],
        [step(i / 99, 1e9 if i == 3 else 1.0) for i in range(99)],
        [step(0.1, float("nan")), step(0.2, 1.0), step(0.3, float("inf"))],
    ],
    ids=["one", "zero", "spike", "not finite"],
)
def test_curves_of_odd_runs(steps: list[dict]) -> None:
    assert "Training loss" in texts(curves_svg(steps, [])[0])


def test_a_long_run_makes_no_larger_plot() -> None:
    sizes = [len(curves_svg([step(i / 100, 1 + i % 7) for i in range(n)], [])[0]) for n in (2_000, 20_000)]
    assert sizes[1] < 1.2 * sizes[0]


def test_thinning_keeps_the_mean() -> None:
    points = np.random.default_rng(0).random((7 * MAX_POINTS, 3))
    assert _thin(points).shape == (MAX_POINTS, 3)
    assert np.allclose(_thin(points).mean(axis=0), points.mean(axis=0))
    assert _thin(points[:5]) is not None
    assert (_thin(points[:5]) == points[:5]).all()


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=80))
def test_smoothing_stays_within_the_values(values: list[float]) -> None:
    smooth = _smooth(np.array(values))
    assert len(smooth) == len(values)
    assert smooth.min() >= min(values) - 1e-9
    assert smooth.max() <= max(values) + 1e-9
    half = len(values) // 24
    middle = len(values) // 2
    assert np.isclose(smooth[middle], np.mean(values[max(0, middle - half) : middle + half + 1]))


def test_confusion_rows_are_normalised() -> None:
    found = texts(confusion_svg([[90, 10, 0], [0, 0, 0], [1, 1, 2]], ["sky", "road", "car"]))
    assert [text for text in found if text.isdigit()] == ["90", "10", "25", "25", "50"]
    assert [found.count(name) for name in ("sky", "road", "car")] == [2, 2, 2]


def test_confusion_of_many_classes_has_no_numbers() -> None:
    for size, names_shown in ((13, True), (150, False)):
        found = texts(confusion_svg(np.eye(size, dtype=np.int64) * 7, [f"class {i}" for i in range(size)]))
        assert "100" not in found or size > 100  # an id on the axis
        assert ("class 3" in found) == names_shown


def test_strange_names_are_text() -> None:
    names = ["<b>", "$x$", "$\\frac{", "标志", 'id="x" #1b2330 url(#y)', "n" * 99]
    found = texts(confusion_svg(np.eye(6, dtype=int), names))
    assert {*names[:5], f"{'n' * 23}…"} <= set(found)
