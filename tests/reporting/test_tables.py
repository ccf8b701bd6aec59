"""Figures as text and files."""

import json

import numpy as np
from PIL import Image

from fullconv.labels import LabelSet
from fullconv.metrics import Scores
from fullconv.reporting.tables import figures_table, mean_iou_text, refinement_text, write_evaluation

LABELS = LabelSet.from_names(["sky", "road", "unicorn"])


def figures(stride: int | None = 8) -> dict:
    scores = Scores(3, stride)
    labels, truth = np.array([[0, 0, 1, 1]], np.uint8), np.array([[0, 0, 0, 1]], np.uint8)
    scores.update(labels, truth, np.array([[0.75]]))  # of the first pixel
    return scores.summary(LABELS.names, 1, "val")


def refined(before: float, after: float) -> dict:
    unrefined = {"mean_iou": before, "boundary_iou": 0.28, "boundary_f": 0.47}
    return figures() | {
        "mean_iou": after,
        "refinement": {"unrefined": unrefined, "seconds_per_image": 0.3104},
    }


def test_the_table_is_in_percent_and_says_what_is_absent():
    lines = figures_table(figures()).splitlines()
    assert lines[1].split() == ["sky", "66.7", "66.7", "3"]
    assert lines[2].split() == ["road", "50.0", "100.0", "1"]
    assert lines[3].split() == ["unicorn", "n/a", "n/a", "0"]
    assert "mean IU                 58.3   of at most 12.5 at stride 8" in lines
    assert "boundary IU (3 pixels)  58.3" in lines
    assert "boundary F  (3 pixels) 100.0" in lines
    assert "calibration error, ECE  25.0   75.0 sure on average, 100.0 right" in lines
    assert "over 1 pictures of split 'val'" in lines
    assert lines[-1] == "highest mean IU by stride   32: 12.5   16: 12.5   8: 12.5   4: 37.5"


def test_a_network_without_a_stride_has_no_ceiling():
    text = figures_table(figures(stride=None))
    assert "mean IU                 58.3\n" in text
    assert "8: 12.5" in text
    assert mean_iou_text(figures(stride=None)) == "mean IU 58.3"
    assert mean_iou_text(figures()) == "mean IU 58.3 (ceiling 12.5)"


def test_what_was_not_looked_at_has_no_calibration():
    assert "calibration error, ECE   n/a\n" in figures_table(Scores(3).summary(LABELS.names, 0, "val"))


def test_figures_from_before_ceilings_were_counted_can_be_shown():
    assert mean_iou_text({"mean_iou": None}) == "mean IU n/a"


def test_further_heads_have_tables_of_their_own():
    lines = figures_table(figures() | {"heads": {"geometric": figures(stride=None)}}).splitlines()
    at = lines.index("head geometric")
    assert lines[at + 1 :] == figures_table(figures(stride=None)).splitlines()


def test_the_refinement_says_what_it_gains_and_when_it_does_not():
    gain = refinement_text(refined(0.509, 0.514))
    assert gain.startswith(
        "CRF: mean IU 50.9 -> 51.4, boundary IU 28.0 -> 58.3, boundary F 47.0 -> 100.0; 310 ms a picture"
    )
    assert "\n" not in gain
    assert figures_table(refined(0.509, 0.514)).endswith(gain)
    for after in (0.509, 0.4, None):
        assert refinement_text(refined(0.509, after)).endswith(
            "\nThe CRF does not raise mean IU on these pictures; leave it off."
        )


def test_files(tmp_path):
    write_evaluation(tmp_path / "e", figures(), {"samples": Image.new("RGB", (8, 9))})
    assert json.loads((tmp_path / "e" / "evaluation.json").read_text()) == figures()
    assert (tmp_path / "e" / "samples.jpg").read_bytes()[:2] == b"\xff\xd8"
    write_evaluation(tmp_path / "f", figures(), {})
    assert [file.name for file in (tmp_path / "f").iterdir()] == ["evaluation.json"]
