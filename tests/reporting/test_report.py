"""The HTML report: complete, offline, safe, and readable at every stage of a run."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.errors import ConfigError, InputError, RunError
from fullconv.reporting.report import write_report

CAMVID = [
    "sky", "building", "pole", "road", "pavement", "tree",
    "sign_symbol", "fence", "car", "pedestrian", "bicyclist",
]  # fmt: skip
PIXELS = [
    2_900_000,
    4_100_000,
    170_000,
    4_700_000,
    1_000_000,
    1_800_000,
    150_000,
    240_000,
    900_000,
    110_000,
    90_000,
]
PICTURES = {
    "best": [{"name": "0016E5_07959", "mean_iou": 0.871}, {"name": "街道 <b>1</b>", "mean_iou": 0.85}],
    "worst": [{"name": "Seq05VD_f00210", "mean_iou": 0.312}],
}
HOSTILE = ["<script>x()</script>", "a\"b' onload=x", "$\\frac{$ & </style>", "标志"]


class Page(HTMLParser):
    """The tags, texts and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.text += f"{data} "


def start_line(names: list[str]) -> dict:
    shares = np.array([17, 24, 1.0, 28, 6, 10, 1, 1.5, 6, 0.6, 0.4] * 20)[: len(names)]
    return {
        "kind": "start",
        "time": "2025-03-12T09:30:00+00:00",
        "classes": [
            {"name": name, "color": [40 + 19 * i % 200, 97 * i % 256, 61 * i % 256]}
            for i, name in enumerate(names)
        ],
        "data": {
            "name": "camvid",
            "root": "/data/my camvid",
            "layout": "twin trees",
            "splits": {"train": 367, "val": 101},
            "pixels_per_class": [int(share * 600_000) for share in shares],
            "void_pixels": 2_100_000,
            "median_hw": [360, 480],
            "smallest_hw": [240, 320],
            "largest_hw": [720, 960],
        },
        "model": {"name": "fcn8s", "backbone": "resnet18", "parameters": 11_186_112, "stride": 8},
        "environment": {
            "fullconv": "0.1.0",
            "python": "3.11.2",
            "torch": "2.10.0",
            "device": "cpu (2 threads)",
        },
    }


def calibration(gap: float) -> dict:
    """A network that is surer than it is right by `gap`, everywhere; no pixel is less than 1/3 sure."""
    empty = {"pixels": 0, "confidence": None, "accuracy": None}
    bins = [
        {"pixels": 40 * 2**i, "confidence": (i + 5.5) / 15, "accuracy": (i + 5.5) / 15 - gap}
        for i in range(10)
    ]
    return {"ece": gap, "confidence": 0.9, "accuracy": 0.9 - gap, "bins": [empty] * 5 + bins}


def validation(names: list[str], progress: float, absent: int | None = None) -> dict:
    """Scores of a confusion matrix that grows more diagonal with `progress`; class `absent` never occurs."""
    size = len(names)
    rng = np.random.default_rng(3)
    pixels = np.array(PIXELS * 20)[:size]
    right = (0.25 + 0.68 * progress) * (pixels / pixels.max()) ** 0.12
    confusion = np.zeros((size, size), np.int64)
    for row in range(size):
        spread = rng.dirichlet(np.full(size, 0.4)) * pixels[row] * (1 - right[row])
        confusion[row] = spread
        confusion[row, row] += int(pixels[row] * right[row])
    if absent is not None:
        confusion[absent, :] = confusion[:, absent] = 0
    hits, truth = np.diag(confusion), confusion.sum(axis=1)
    union = truth + confusion.sum(axis=0) - hits
    per_class = {
        name: {
            "iou": float(hits[i] / union[i]) if union[i] else None,
            "accuracy": float(hits[i] / truth[i]) if truth[i] else None,
            "pixels": int(truth[i]),
        }
        for i, name in enumerate(names)
    }
    ious = [score["iou"] for score in per_class.values() if score["iou"] is not None]
    accuracies = [score["accuracy"] for score in per_class.values() if score["accuracy"] is not None]
    return {
        "mean_iou": float(np.mean(ious)),
        "pixel_accuracy": float(hits.sum() / truth.sum()),
        "mean_accuracy": float(np.mean(accuracies)),
        "frequency_weighted_iou": 0.6,
        "boundary_iou": 0.345,
        "boundary_f": 0.567,
        "boundary_distance": 3,
        "stride_ceiling": {"32": 0.573, "16": 0.701, "8": 0.805, "4": None},
        "stride": 8,
        "calibration": calibration(0.03),
        "num_images": 101,
        "split": "val",
        "per_class": per_class,
        "confusion": confusion.tolist(),
    }


def log_lines(names: list[str], epochs: int, absent: int | None = None, done: bool = True) -> list[dict]:
    rng = np.random.default_rng(0)
    lines: list[dict] = [start_line(names)]
    best = 0.0
    for epoch in range(1, epochs + 1):
        for part in range(1, 11):
            at = epoch - 1 + part / 10
            loss = 0.35 + 2.1 * np.exp(-at / 4) + rng.normal(0, 0.06 + 0.1 * np.exp(-at / 3))
            step = {"kind": "step", "step": (epoch - 1) * 40 + part * 4, "epoch": at, "loss": float(loss)}
            rate = 0.01 * (1 - at / (epochs + 0.1)) ** 0.9
            lines.append({**step, "lr": rate, "images_per_second": 41 + rng.normal()})
        val = validation(names, 1 - float(np.exp(-epoch / 7)) + 0.02 * float(np.sin(epoch * 2)), absent)
        record = {"kind": "epoch", "epoch": epoch, "step": epoch * 40, "train_loss": 0.5}
        record |= {"val_seconds": 7.5, "pictures": {key: PICTURES[key] for key in ("best", "worst")}}
        lines.append({**record, "seconds": 93.4 * epoch, "val": val, "best": val["mean_iou"] > best})
        best = max(best, val["mean_iou"])
    if done:
        lines.append({"kind": "end", "time": "2025-03-12T10:17:00+00:00", "seconds": 93.4 * epochs})
    return lines


def write_run(folder: Path, lines: list[dict], samples: tuple[int, ...] = ()) -> Path:
    (folder / "samples").mkdir(parents=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (folder / "config.yaml").write_text("model: fcn8s\nepochs: 30\nbatch_size: 8\ncrop: null\ndata: '<b>'\n")
    for epoch in samples:
        Image.new("RGB", (60, 40), (8 * epoch, 90, 120)).save(folder / "samples" / f"epoch_{epoch:04d}.jpg")
    return folder


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = log_lines(CAMVID, epochs=30, absent=7)
    return write_run(tmp_path_factory.mktemp("runs") / "camvid", lines, samples=tuple(range(1, 31)))


@pytest.fixture(scope="module")
def full_html(full_run: Path) -> str:
    return read(write_report(full_run))


def test_a_full_run_shows_its_numbers(full_run: Path, full_html: str) -> None:
    lines = [json.loads(text) for text in read(full_run / "log.jsonl").splitlines()]
    best = [line for line in lines if line["kind"] == "epoch" and line["best"]][-1]
    text = " ".join(Page(full_html).text.split())
    assert f"mean IU {100 * best['val']['mean_iou']:.1f} %" in text
    assert f"pixel accuracy {100 * best['val']['pixel_accuracy']:.1f} %" in text
    assert f"best epoch {best['epoch']} 30 of 30 done" in text
    assert "training time 46 min 42 s" in text
    assert "parameters 11.2 M" in text
    assert "Finished 12 March 2025, 10:17." in text
    assert f"fullconv predict {full_run} photo.jpg --out predictions" in text
    assert "batch_size 8" in text
    assert "crop null" in text
    assert "torch 2.10.0" in text


def test_ceilings_and_boundary_measures_stand_beside_the_mean_iou(full_html: str) -> None:
    text = " ".join(Page(full_html).text.split())
    assert "on 101 val pictures; ceiling of stride 8: 80.5 %" in text
    assert "boundary IU IU of the 3-pixel rims of objects 34.5 %" in text
    assert re.search(r"boundary F outlines found within 3 pixels: .{10,40} 56\.7 %", text)
    assert "32 57.3 % 16 70.1 % 8 this network 80.5 % 4 n/a" in text


def test_a_log_from_before_ceilings_were_counted(tmp_path: Path) -> None:
    lines = log_lines(CAMVID, epochs=2)
    for line in lines:
        for key in ("boundary_iou", "boundary_f", "boundary_distance", "stride_ceiling", "stride"):
            line.get("val", {}).pop(key, None)
    text = " ".join(Page(read(write_report(write_run(tmp_path / "run", lines)))).text.split())
    assert "Class by class" in text
    assert "on 101 val pictures " in text
    assert "ceiling of" not in text
    assert "What a stride admits" not in text


def test_calibration_is_told_and_drawn(full_html: str) -> None:
    text = " ".join(Page(full_html).text.split())
    assert re.search(
        r"calibration error ECE, 15 bins 3\.0 % confidence .{20,60} 90\.0 % accuracy .{10,40} 87\.0 %", text
    )
    assert full_html.count('aria-label="Reliability diagram') == 1


def test_a_log_without_calibration_pictures_and_timings(tmp_path: Path) -> None:
    lines = log_lines(CAMVID, epochs=2)
    unknown = {**calibration(0), "ece": None, "confidence": None, "accuracy": None}
    for line in lines:
        line.pop("pictures", None)
        line.pop("val_seconds", None)
        if line.get("val"):
            line["val"]["calibration"] = unknown
    run = write_run(tmp_path / "run", lines)
    assert "Reliability" not in read(write_report(run))
    for line in lines:
        line.get("val", {}).pop("calibration", None)
    html = read(write_report(write_run(tmp_path / "other", lines)))
    assert "Reliability" not in html
    assert "Best and worst" not in html
    assert "validation in it" not in html


def test_the_best_and_worst_pictures_of_the_last_validation_are_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", log_lines(CAMVID, epochs=3), samples=(1, 2, 3))
    assert "Best and worst" not in read(write_report(run))  # their grids are gone
    for name in ("epoch_0002_best", "epoch_0003_best", "epoch_0003_worst"):
        Image.new("RGB", (60, 40)).save(run / "samples" / f"{name}.jpg")
    html = read(write_report(run))
    text = " ".join(Page(html).text.split())
    assert "Of the validation after epoch 3" in text
    assert (
        "Best 0016E5_07959 mean IU 87.1 % 街道 <b>1</b> mean IU 85.0 % Worst Seq05VD_f00210 mean IU 31.2 %"
        in text
    )
    assert len(re.findall(r"<img ", html)) == 5
    (run / "samples" / "epoch_0003_worst.jpg").unlink()
    assert "Worst" not in read(write_report(run))


def test_data_and_timings_are_summed_up(full_html: str, tmp_path: Path) -> None:
    text = " ".join(Page(full_html).text.split())
    assert "pictures 367 train, 101 val" in text
    assert "median 480 × 360, smallest 320 × 240, largest 960 × 720 (width × height" in text
    assert "training pixels 59,400,000, of which 3.5 % void" in text
    assert "sky 10,200,000 17.2 % 2,855,522 18.2 %" in text
    assert "an epoch, median 1 min 33 s validation in it, median 7.5 s training speed, median 4" in text
    assert "until epoch 29, the best 45 min 9 s in all 46 min 42 s" in text
    lines = log_lines(CAMVID, epochs=1)
    del lines[0]["data"]["smallest_hw"], lines[0]["data"]["largest_hw"]
    assert (
        "median 480 × 360 (width × height"
        in Page(read(write_report(write_run(tmp_path / "run", lines)))).text
    )


def test_a_network_without_a_stride(tmp_path: Path) -> None:
    lines = log_lines(CAMVID, epochs=1)
    lines[-2]["val"]["stride"] = None
    text = " ".join(Page(read(write_report(write_run(tmp_path / "run", lines)))).text.split())
    assert "32 57.3 % 16 70.1 % 8 80.5 % 4 n/a" in text
    assert "ceiling of" not in text


def test_the_class_table_has_each_class_by_id_and_marks_three(full_html: str) -> None:
    table = full_html[full_html.index("Class by class") : full_html.index("What is mistaken")]
    rows = re.findall(r"<tr(?: class=\"weak\")?><th scope=\"row\">.*?</tr>", table, re.DOTALL)
    assert [Page(row).text.split()[:2] for row in rows] == [[str(i), name] for i, name in enumerate(CAMVID)]
    assert sum("weakest" in row for row in rows) == 3
    assert "n/a" in rows[7]
    assert "n/a" not in "".join(rows[:7])
    scores = [
        (float(found[1]), "weakest" in row) for row in rows if (found := re.search(r"width: ([\d.]+)%", row))
    ]
    assert [weak for _, weak in sorted(scores)] == [True] * 3 + [False] * 7


def test_the_most_frequent_confusion_is_named(tmp_path: Path) -> None:
    lines = log_lines(["sky", "road", "kerb"], epochs=1)
    lines[-2]["val"]["confusion"] = [[90, 10, 0], [0, 60, 40], [30, 0, 20]]
    text = " ".join(Page(read(write_report(write_run(tmp_path / "run", lines)))).text.split())
    assert "confusion: road taken for kerb , 40.0 % of the pixels of road and 50.0 % of all wrong" in text


def test_a_perfect_model_has_no_confusion(tmp_path: Path) -> None:
    lines = log_lines(["sky", "road"], epochs=1)
    lines[-2]["val"]["confusion"] = [[90, 0], [0, 60]]
    assert "Not a single pixel is wrong" in read(write_report(write_run(tmp_path / "run", lines)))


def test_the_page_is_offline_and_runs_no_script(full_html: str) -> None:
    page = Page(full_html)
    assert "http" not in re.sub(r"http-equiv", "", full_html)
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    for name, value in page.attributes:
        if name in ("src", "href", "xlink:href"):
            assert value.startswith(("data:image/", "#")), value
        assert not name.startswith("on")
    assert "url(" not in re.sub(r"url\(#", "", full_html)


def test_ids_are_unique_and_references_find_them(full_html: str) -> None:
    ids = Page(full_html).ids
    assert len(ids) == len(set(ids)) > 20
    assert set(re.findall(r"url\(#([^)]+)\)", full_html)) <= set(ids)
    assert {
        value[1:] for name, value in Page(full_html).attributes if name == "href" and value[0] == "#"
    } <= set(ids)


def test_samples_latest_first_then_six_earlier(full_html: str) -> None:
    assert re.findall(r"after epoch (\d+)\"", full_html) == ["30", "1", "7", "12", "18", "23", "29"]
    assert (
        full_html.index("after epoch 30") < full_html.index("<details>") < full_html.index("after epoch 12")
    )


def test_the_same_folder_gives_the_same_bytes(full_run: Path, full_html: str) -> None:
    assert read(write_report(full_run)) == full_html
    assert sorted(path.name for path in full_run.iterdir()) == [
        "config.yaml",
        "log.jsonl",
        "report.html",
        "samples",
    ]


def test_a_run_that_has_only_started(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [start_line(CAMVID)])
    text = Page(read(write_report(run))).text
    assert "No epoch is complete yet" in text
    assert "Begun 12 March 2025, 09:30" in text
    assert "What is mistaken" not in text
    assert "367 train, 101 val" in " ".join(text.split())


def test_a_run_in_its_first_epoch_shows_the_loss(tmp_path: Path) -> None:
    lines = log_lines(CAMVID, epochs=1)[:2]
    html = read(write_report(write_run(tmp_path / "run", lines)))
    assert "So far: step 4, loss" in html
    assert "Training loss" in html
    lines[1]["loss"] = float("nan")
    assert "Training loss" not in read(write_report(write_run(tmp_path / "bad", lines)))


def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path) -> None:
    lines = log_lines(CAMVID, epochs=3, done=False)
    text = Page(read(write_report(write_run(tmp_path / "my run", lines)))).text
    assert "interrupted after epoch 3 of 30" in text
    assert f"fullconv train '/data/my camvid' --out '{tmp_path / 'my run'}' --resume" in text


def test_a_run_without_validation(tmp_path: Path) -> None:
    lines = log_lines(CAMVID, epochs=2)
    for line in lines:
        if line["kind"] == "epoch":
            line.update(val=None, best=False)
    text = Page(read(write_report(write_run(tmp_path / "run", lines)))).text
    assert "No epoch of this run was validated" in text
    assert "Class by class" not in text


def test_a_log_cut_off_by_a_crash(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", log_lines(CAMVID, epochs=2, done=False))
    whole = read(write_report(run))
    with (run / "log.jsonl").open("ab") as file:
        file.write(b'{"kind": "step", "step": 84, "epo\xe6')
    html = read(write_report(run))
    assert "1 line of the log could not be read" in html
    assert html.replace("1 line of the log could not be read and is left out.", "").split() == whole.split()


def test_a_resumed_run_keeps_the_last_line_of_each_step(tmp_path: Path) -> None:
    lines = log_lines(CAMVID, epochs=4)
    straight = read(write_report(write_run(tmp_path / "a" / "run", lines)))
    crash = next(i for i, line in enumerate(lines) if line["kind"] == "epoch" and line["epoch"] == 3)
    stale = [{**line, "loss": 9.0} if line["kind"] == "step" else line for line in lines[: crash - 2]]
    at = next(i for i, line in enumerate(lines) if line["kind"] == "epoch" and line["epoch"] == 2)
    resumed = [
        *lines[: at + 1],
        *stale[at + 1 :],
        {"kind": "resume", "time": "x", "step": 80},
        *lines[at + 1 :],
    ]
    assert len(resumed) > len(lines) + 5
    again = read(write_report(write_run(tmp_path / "b" / "run", resumed)))
    assert again.replace(str(tmp_path / "b"), str(tmp_path / "a")) == straight


def test_a_resumed_run_forgets_what_came_after_the_state(tmp_path: Path) -> None:
    lines = [*log_lines(CAMVID, epochs=4), {"kind": "resume", "time": "x", "step": 80}]
    text = " ".join(Page(read(write_report(write_run(tmp_path / "run", lines)))).text.split())
    assert "interrupted after epoch 2" in text
    assert "2 of 30 done" in text


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    lines = log_lines(HOSTILE, epochs=2)
    lines[0]["data"]["name"] = lines[0]["environment"]["x"] = "<img src=http://x onerror=alert(2)>"
    html = read(write_report(write_run(tmp_path / "<h6>run", lines)))
    page = Page(html)
    assert not {"script", "b", "img", "h6"} & set(page.tags)
    assert page.tags.count("style") == 1
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    for name in HOSTILE:
        assert page.text.count(name) >= 3


def test_pictures_that_were_learnt_from_measure_nothing(
    full_run: Path, full_html: str, tmp_path: Path
) -> None:
    assert "has learnt from" not in full_html
    shutil.copytree(full_run, tmp_path / "run")
    with (tmp_path / "run" / "config.yaml").open("a") as config:
        config.write("train_split: train+val\n")
    assert "The network has learnt from the val pictures" in read(write_report(tmp_path / "run"))


def test_many_classes(tmp_path: Path) -> None:
    names = [f"class {index}" for index in range(150)]
    html = read(write_report(write_run(tmp_path / "run", log_lines(names, epochs=1))))
    assert html[html.index("Class by class") : html.index("What is mistaken")].count('scope="row"') == 150
    assert html[html.index("Pixels of each class") :].count('scope="row"') == 151
    assert len(html) < 1_000_000


def test_two_classes_have_one_weakest(tmp_path: Path) -> None:
    html = read(write_report(write_run(tmp_path / "run", log_lines(["background", "bag"], epochs=1))))
    assert html.count('class="pill"') == 1


@pytest.mark.parametrize(
    "content", ["", "\n", '{"kind": "step"', '{"kind": "end", "time": "x", "seconds": 1}\n', "[1]\n"]
)
def test_a_log_without_a_start(tmp_path: Path, content: str) -> None:
    (tmp_path / "log.jsonl").write_text(content)
    with pytest.raises(RunError, match=r"log\.jsonl has no readable line of kind 'start'; expected a folder"):
        write_report(tmp_path)


def test_a_folder_that_is_missing_or_no_run(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"there is no folder .*nowhere; expected a folder that `fullconv train"
    ):
        write_report(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"is no run folder, it holds no log\.jsonl; expected"):
        write_report(tmp_path)


def test_a_log_of_another_version(tmp_path: Path) -> None:
    lines = log_lines(CAMVID, epochs=1)
    with pytest.raises(RunError, match=r"log\.jsonl: a line of kind 'step' lacks 'step'; expected"):
        write_report(write_run(tmp_path / "a", [lines[0], {"kind": "step"}]))
    del lines[0]["model"]
    with pytest.raises(
        RunError, match=r"log\.jsonl lacks a value .*model.*; expected a log that this version"
    ):
        write_report(write_run(tmp_path / "b", lines))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [1", r"config\.yaml is not valid YAML: while parsing"),
        ("- 1", r"config\.yaml holds a list; expected a map"),
    ],
)
def test_a_configuration_that_cannot_be_read(tmp_path: Path, content: str, message: str) -> None:
    run = write_run(tmp_path / "run", [start_line(CAMVID)])
    (run / "config.yaml").write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        write_report(run)
    assert "\n" not in str(caught.value)


def test_a_missing_configuration_is_said(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [start_line(CAMVID)])
    (run / "config.yaml").unlink()
    assert "The run holds no config.yaml" in read(write_report(run))
