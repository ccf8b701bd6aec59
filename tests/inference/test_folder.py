"""Batches of files: what is written, in which order, and how an interrupted batch goes on."""

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fullconv.errors import InputError, StorageError
from fullconv.inference import pipeline
from fullconv.inference.folder import find_pictures, jobs_of, predict_files
from fullconv.inference.journal import Journal
from fullconv.inference.segmenter import Segmenter

KINDS = {"mask", "overlay", "json"}


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.num_classes = 4
        self.layers = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.layers(pictures)


@pytest.fixture
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(Tiny(), precision="fp32")


def write_pictures(folder: Path, sizes_hw: list[tuple[int, int]]) -> list[Path]:
    """Noise, the odd ones as JPEG."""
    folder.mkdir(exist_ok=True)
    files = []
    for index, size_hw in enumerate(sizes_hw):
        pixels = np.random.default_rng(index).integers(0, 256, (*size_hw, 3), np.uint8)
        files.append(folder / f"p{index:02}.{'jpg' if index % 2 else 'png'}")
        Image.fromarray(pixels).save(files[-1])
    return files


@pytest.fixture
def pictures(tmp_path) -> list[Path]:
    return write_pictures(tmp_path / "pictures", [(20, 30)] * 5 + [(33, 21)] * 3 + [(1, 1)])


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def masks(out: Path) -> dict[str, np.ndarray]:
    return {file.name: np.asarray(Image.open(file)) for file in sorted((out / "masks").iterdir())}


def counted(segmenter: Segmenter, monkeypatch) -> list[int]:
    """The sizes of the batches that the network is given from now on."""
    sizes: list[int] = []
    predict_batch = segmenter.predict_batch

    def count(pictures, extras):
        sizes.append(len(pictures))
        return predict_batch(pictures, extras)

    monkeypatch.setattr(segmenter, "predict_batch", count)
    return sizes


@pytest.mark.parametrize("batch_size", [1, 3])
def test_files_come_in_order_and_a_bad_one_is_listed(segmenter, pictures, tmp_path, batch_size):
    broken = pictures[2].with_name("broken.jpg")
    broken.write_bytes(pictures[1].read_bytes()[:300])
    sources = [*pictures[:2], broken, *pictures[2:], tmp_path / "missing.png"]
    records = list(predict_files(segmenter, sources, tmp_path / "out", KINDS, batch_size=batch_size))
    assert [record["source"] for record in records] == [str(source) for source in sources]
    assert lines(tmp_path / "out" / "predictions.jsonl") == records
    assert [Path(record["source"]).name for record in records if "error" in record] == [
        "broken.jpg",
        "missing.png",
    ]
    assert all(record["error"].startswith(record["source"]) for record in records if "error" in record)
    written = masks(tmp_path / "out")
    for picture, record in zip(sources, records, strict=True):
        if "error" in record:
            continue
        prediction = segmenter.predict(picture)
        got = written[f"{picture.stem}.png"]
        assert got.shape == prediction.label_map.shape
        assert (got != prediction.label_map).mean() < 1e-2, "but for rounding in a pass of several"
        assert (record["height"], record["width"]) == got.shape
        assert record["classes"] == pytest.approx(prediction.fractions(), abs=1e-2)
        assert (record["mask"], record["overlay"]) == (
            f"masks/{picture.stem}.png",
            f"overlays/{picture.stem}.jpg",
        )
        assert (tmp_path / "out" / record["overlay"]).exists()


def test_neighbours_of_one_size_go_through_in_one_pass(segmenter, pictures, tmp_path, monkeypatch):
    sizes = counted(segmenter, monkeypatch)
    list(predict_files(segmenter, pictures, tmp_path / "out", {"mask"}, batch_size=4))
    assert sizes == [4, 1, 3, 1]
    assert len(masks(tmp_path / "out")) == len(pictures)


def test_a_pass_of_several_equals_single_ones(segmenter):
    batch = [np.random.default_rng(i).integers(0, 256, (40, 50, 3), np.uint8) for i in range(3)]
    for got, picture in zip(segmenter.predict_batch(batch, [None] * 3), batch, strict=True):
        torch.testing.assert_close(got.logits, segmenter.predict(picture).logits)
        np.testing.assert_array_equal(got.picture, picture)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_picture_too_large_for_memory_is_listed(segmenter, pictures, tmp_path, monkeypatch, batch_size):
    predict_batch = segmenter.predict_batch
    unlucky = np.asarray(Image.open(pictures[2]))

    def run_out(batch, extras):
        if any(picture.shape == unlucky.shape and (picture == unlucky).all() for picture in batch):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return predict_batch(batch, extras)

    monkeypatch.setattr(segmenter, "predict_batch", run_out)
    records = list(predict_files(segmenter, pictures, tmp_path / "out", {"mask"}, batch_size=batch_size))
    assert [record["source"] for record in records if "error" in record] == [str(pictures[2])]
    assert "give --tile" in records[2]["error"]


def test_a_full_disk_stops_the_batch(segmenter, pictures, tmp_path, monkeypatch):
    def full(*_):
        raise StorageError("disk full")

    monkeypatch.setattr(pipeline, "write_answer", full)
    with pytest.raises(StorageError, match="disk full"):
        list(predict_files(segmenter, pictures, tmp_path / "out", KINDS))


def test_an_interrupted_batch_goes_on(segmenter, pictures, tmp_path, monkeypatch):
    pictures[4].write_bytes(b"\xff\xd8\xff")
    out, threads = tmp_path / "out", threading.active_count()
    begun = predict_files(segmenter, pictures, out, KINDS, model_id="m")
    first = [next(begun) for _ in range(6)]
    begun.close()
    assert threading.active_count() == threads
    assert lines(out / "predictions.jsonl")[:6] == first
    with (out / "predictions.jsonl").open("a") as file:
        file.write('{"source": "half a li')
    sizes = counted(segmenter, monkeypatch)
    records = list(predict_files(segmenter, pictures, out, KINDS, model_id="m"))
    skipped = [record for record in records if "skipped" in record]
    assert 5 <= len(skipped) < len(pictures), "all that was told, but for the failure"
    assert sum(sizes) == len(pictures) - 1 - len(skipped)
    assert [record["source"] for record in records] == [str(picture) for picture in pictures]
    kept = lines(out / "predictions.jsonl")
    assert [record["source"] for record in kept] == [str(picture) for picture in pictures]
    assert kept[:4] == first[:4]
    assert "error" in kept[4]
    assert not any("skipped" in record for record in kept)
    again = list(predict_files(segmenter, pictures, out, KINDS, model_id="m"))
    assert [record["source"] for record in again if "skipped" not in record] == [str(pictures[4])]
    assert lines(out / "predictions.jsonl") == kept


def test_ctrl_c_leaves_no_thread_and_keeps_what_was_done(segmenter, pictures, tmp_path, monkeypatch):
    predict_batch, calls, threads = segmenter.predict_batch, [], threading.active_count()

    def interrupted(batch, extras):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return predict_batch(batch, extras)

    monkeypatch.setattr(segmenter, "predict_batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(predict_files(segmenter, pictures, tmp_path / "out", KINDS, model_id="m"))
    assert threading.active_count() == threads
    told = lines(tmp_path / "out" / "predictions.jsonl")
    assert len(told) <= 4
    records = list(predict_files(segmenter, pictures, tmp_path / "out", KINDS, model_id="m"))
    assert sum("skipped" in record for record in records) == len(told)
    assert len(masks(tmp_path / "out")) == len(pictures)


def changed_picture(pictures: list[Path], out: Path) -> None:
    Image.new("RGB", (20, 30)).save(pictures[0])
    later = (out / "masks" / "p00.png").stat().st_mtime_ns + 10**9
    os.utime(pictures[0], ns=(later, later))


@pytest.mark.parametrize(
    ("change", "options", "num_skipped"),
    [
        (lambda pictures, out: None, {"model_id": "m"}, 9),
        (lambda pictures, out: None, {"model_id": "other"}, 0),
        (lambda pictures, out: None, {}, 0),
        (lambda pictures, out: None, {"model_id": "m", "kinds": {"mask", "json"}}, 0),
        (lambda pictures, out: (out / "masks" / "p03.png").unlink(), {"model_id": "m"}, 8),
        (lambda pictures, out: (out / "overlays" / "p03.jpg").unlink(), {"model_id": "m"}, 8),
        (lambda pictures, out: (out / ".predict.json").unlink(), {"model_id": "m"}, 0),
        (changed_picture, {"model_id": "m"}, 8),
    ],
)
def test_what_is_taken_over(segmenter, pictures, tmp_path, change, options, num_skipped):
    out = tmp_path / "out"
    list(predict_files(segmenter, pictures, out, KINDS, model_id="m"))
    change(pictures, out)
    records = list(predict_files(segmenter, pictures, out, **{"kinds": KINDS, **options}))
    assert sum("skipped" in record for record in records) == num_skipped
    for picture, got in zip(pictures, masks(out).values(), strict=True):
        np.testing.assert_array_equal(got, segmenter.predict(picture).label_map)


def test_other_options_begin_anew(pictures, tmp_path):
    torch.manual_seed(0)
    model = Tiny()
    for options in ({}, {"tile": 32}, {"tile": 32, "overlap": "mean"}, {"tta": "flip"}, {"refine": "crf"}):
        segmenter = Segmenter(model, precision="fp32", **options)
        records = list(predict_files(segmenter, pictures[:2], tmp_path / "out", KINDS, model_id="m"))
        assert not any("skipped" in record or "error" in record for record in records), options


def test_records_go_with_their_names(segmenter, pictures, tmp_path):
    """Another list of files may give a name to another file."""
    other = write_pictures(tmp_path / "other", [(9, 8)])[0]
    assert other.name == pictures[0].name
    list(predict_files(segmenter, [pictures[0], other], tmp_path / "out", KINDS, model_id="m"))
    records = list(predict_files(segmenter, [other], tmp_path / "out", KINDS, model_id="m"))
    assert [record.get("skipped") for record in records] == [None]
    records = list(predict_files(segmenter, [pictures[0], other], tmp_path / "out", KINDS, model_id="m"))
    assert [record.get("skipped") for record in records] == [None, None]
    assert [mask.shape for mask in masks(tmp_path / "out").values()] == [(20, 30), (9, 8)]


def test_shards_share_a_list(segmenter, pictures, tmp_path):
    twin = write_pictures(tmp_path / "other", [(9, 8)])
    sources = [*pictures, *twin]
    for number in (1, 2, 3):
        list(predict_files(segmenter, sources, tmp_path / "out", KINDS, shard=(number, 3), model_id="m"))
    told = [lines(tmp_path / "out" / f"predictions-{number}-of-3.jsonl") for number in (1, 2, 3)]
    assert [[record["source"] for record in some] for some in told] == [
        [str(source) for source in sources[first::3]] for first in range(3)
    ]
    assert sorted(masks(tmp_path / "out")) == sorted([f"p{i:02}.png" for i in range(9)] + ["p00_2.png"])
    assert not (tmp_path / "out" / "predictions.jsonl").exists()
    again = list(predict_files(segmenter, sources, tmp_path / "out", KINDS, shard=(2, 3), model_id="m"))
    assert all("skipped" in record for record in again)
    assert list(predict_files(segmenter, sources[:1], tmp_path / "out", KINDS, shard=(2, 2))) == []


def test_results_are_not_taken_for_sources(segmenter, pictures, tmp_path):
    folder = pictures[0].parent
    list(predict_files(segmenter, pictures, folder / "out", KINDS))
    assert find_pictures([str(folder)], but=folder / "out") == pictures
    assert find_pictures([f"{folder}/**/*.*"], but=folder / "out") == pictures
    mask = folder / "out" / "masks" / "p00.png"
    assert find_pictures([str(mask)], but=folder / "out") == [mask]
    assert len(find_pictures([str(folder)])) == 3 * len(pictures)
    with pytest.raises(InputError, match="holds no picture"):
        find_pictures([str(folder / "out")], but=folder / "out")


def test_records_that_came_in_another_order_are_sorted_in_the_end(tmp_path):
    jobs = jobs_of([Path(f"{name}.png") for name in "abc"], None)
    with Journal(tmp_path, jobs, None, lambda job: {}) as journal:
        for name in "bca":
            journal.append({"source": f"{name}.png"})
        assert [line["source"][0] for line in lines(journal.path)] == ["b", "c", "a"], "written as they come"
    assert [line["source"][0] for line in lines(journal.path)] == ["a", "b", "c"]
