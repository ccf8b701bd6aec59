"""Prediction on a Ray cluster: what needs none, and slowly, what is left when workers are killed."""

import json
import os
import socket
import sys
import tarfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fullconv.bundle import Architecture, save_bundle
from fullconv.errors import ConfigError, FullconvError, RunError, StorageError, UnknownNameError
from fullconv.inference import on_ray, ray_cluster
from fullconv.inference.folder import find_sources, jobs_of, predict_files
from fullconv.inference.on_ray import Chunk, Labeller, Work, fault, labelled, predict_on_ray, raise_fault
from fullconv.inference.ray_cluster import Pool, check_reachable, fitting, imported_ray
from fullconv.inference.segmenter import Segmenter, load
from fullconv.labels import LabelSet
from fullconv.preprocessing import Preprocessing

KINDS = {"mask", "json"}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """Not trained, and yet with all three classes in nearly every picture."""
    torch.manual_seed(0)
    architecture = Architecture(model="fcn8s", backbone="mobilenetv3_small_050", num_classes=3)
    network = architecture.build().eval()
    with torch.no_grad():
        for name, weights in network.named_parameters():
            if name.startswith("score") and name.endswith("weight"):
                weights.normal_()
        pictures = torch.stack([torch.from_numpy(picture(index)) for index in range(12)]).permute(0, 3, 1, 2)
        logits = network(pictures.float() / 64 - 2)
        network.get_parameter("score.32.bias").sub_(logits.mean((0, 2, 3)))
    folder = tmp_path_factory.mktemp("models") / "m"
    labels = LabelSet.from_names(["a", "b", "c"])
    save_bundle(folder, network.state_dict(), architecture, labels, Preprocessing(), trained={}, metrics={})
    return folder


def picture(seed: int) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (2, 2, 3), np.uint8)
    return np.array(Image.fromarray(pixels).resize((32, 32)))


def write_pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index in range(count):
        Image.fromarray(picture(index)).save(folder / f"p{index:04}.png")
    return folder


def masks(out: Path) -> dict[str, np.ndarray]:
    return {file.name: np.asarray(Image.open(file)) for file in sorted((out / "masks").iterdir())}


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_shards_make_the_whole(model, tmp_path):
    sources = find_sources([str(write_pictures(tmp_path / "pictures", 10))])
    segmenter = load(model, "cpu", "fp32")
    list(predict_files(segmenter, sources, tmp_path / "whole", KINDS))
    want = masks(tmp_path / "whole")
    told = []
    for number in (1, 2, 3):
        list(predict_files(segmenter, sources, tmp_path / "out", KINDS, shard=(number, 3)))
        told += lines(tmp_path / "out" / f"predictions-{number}-of-3.jsonl")
    assert sorted(record["source"] for record in told) == [str(source) for source in sources]
    got = masks(tmp_path / "out")
    assert list(got) == list(want)
    assert len({mask.tobytes() for mask in want.values()}) == 10, "masks that tell one picture from another"
    for name, mask in got.items():
        np.testing.assert_array_equal(mask, want[name])


@pytest.mark.parametrize(
    ("nodes", "free", "use_gpus", "cpus", "want"),
    [
        ([{"CPU": 2}], {"CPU": 2}, True, 1, Pool(2, 1, 0)),
        ([{"CPU": 64}], {"CPU": 9}, True, None, Pool(2, 4, 0)),
        ([{"CPU": 1}, {}], {"CPU": 1}, True, None, Pool(1, 1, 0)),
        ([{"CPU": 3}, {"CPU": 3}], {"CPU": 6}, True, 2, Pool(2, 2, 0)),
        ([{"CPU": 4, "GPU": 4}], {"CPU": 4, "GPU": 3}, True, None, Pool(3, 1, 1)),
        ([{"CPU": 4, "GPU": 4}], {"CPU": 4, "GPU": 3}, False, None, Pool(1, 4, 0)),
    ],
)
def test_actors_fit_the_machines(nodes, free, use_gpus, cpus, want):
    assert fitting(nodes, free, use_gpus, cpus) == want


@pytest.mark.parametrize(
    ("nodes", "free", "cpus", "error", "message"),
    [
        ([], {}, None, ConfigError, "the largest has 0 CPUs; expected 1"),
        ([{"CPU": 0.0}], {}, None, ConfigError, "the largest has 0 CPUs"),
        ([{"CPU": 2.0}], {"CPU": 2.0}, 3, ConfigError, "the largest has 2 CPUs; expected 3"),
        ([{"CPU": 2.0}], {"CPU": 0.5}, None, RunError, "too little free: 0.5 CPUs"),
    ],
)
def test_a_cluster_that_has_no_place_says_so(nodes, free, cpus, error, message):
    with pytest.raises(error, match=message):
        fitting(nodes, free, True, cpus)


def test_an_address_where_nobody_is_is_said_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(RunError, match=f"no Ray cluster answers at RAY_ADDRESS {address}"):
            check_reachable(address)
        taken.listen()
        check_reachable(address)
    for other in ("", "auto", "local", "ray://nowhere:1"):
        check_reachable(other)
    with pytest.raises(RunError, match="no Ray cluster answers"):
        check_reachable("127.0.0.1:99999")


def test_without_ray_one_line_says_how_to_get_it(monkeypatch):
    for name in ray_cluster.QUIET:
        monkeypatch.setenv(name, "0")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'fullconv\[ray\]'"):
        imported_ray()


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (StorageError("disk full"), StorageError, "^disk full$"),
        (UnknownNameError("model", "x", ["y"]), RunError, "unknown model 'x'"),
        (ZeroDivisionError("by\nzero"), RunError, "a worker failed: ZeroDivisionError: by zero"),
    ],
)
def test_errors_of_workers_come_back(error, kind, message):
    with pytest.raises(FullconvError, match=message) as caught:
        raise_fault(json.loads(json.dumps({"fault": fault(error)})))
    assert type(caught.value) is kind


def test_an_actor_labels_chunks(model, tmp_path, monkeypatch):
    folder = write_pictures(tmp_path / "pictures", 3)
    (folder / "q.png").write_bytes(b"none")
    work = Work(
        partial(load, model, "cpu", "fp32"), os.getcwd(), tmp_path / "out", frozenset(KINDS), 2, "m",
        torch.get_num_threads(),
    )  # fmt: skip
    actor = Labeller(work)
    batch = {"chunk": [Chunk(tuple(jobs_of(find_sources([str(folder)]), None)))]}
    records = [json.loads(record) for record in actor(batch)["record"]]
    assert [Path(record["source"]).name for record in records] == [
        "p0000.png",
        "p0001.png",
        "p0002.png",
        "q.png",
    ]
    assert ["error" in record for record in records] == [False, False, False, True]
    assert len(masks(tmp_path / "out")) == 3

    def full(*_):
        raise StorageError("disk full")

    monkeypatch.setitem(on_ray.LABEL, "picture", full)
    assert actor(batch)["record"] == [json.dumps({"fault": ["StorageError", "disk full"]})]


def test_each_record_comes_once_and_what_kills_is_listed(monkeypatch, tmp_path):
    left = {f"{name}.png": jobs_of([Path(f"{name}.png")], None)[0] for name in "abc"}
    rounds = []

    def run(ray, chunks, *_):
        rounds.append([[str(job.source) for job in chunk.jobs] for chunk in chunks])
        for source in ("a.png", "a.png") if len(rounds) == 1 else ("b.png", "a.png"):
            yield {"source": source}

    monkeypatch.setattr(on_ray, "run", run)
    work = Work(lambda: pytest.fail("not here"), ".", tmp_path, frozenset(KINDS), 1, "m", 1)
    records = list(labelled(None, left, work, Pool(1, 1, 0)))
    assert rounds[1] == [["b.png"], ["c.png"]], "one by one"
    assert [record["source"] for record in records] == ["a.png", "b.png", "c.png"]
    assert "kills the process" in records[2]["error"]


def test_the_table(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    good = {
        "source": "a.png",
        "mask": "masks/a.png",
        "height": 3,
        "width": 2,
        "classes": {"x": 1.0},
        "seconds": 0.5,
    }
    on_ray.write_table([good, {"source": "b.png", "error": "b.png: bad"}], tmp_path / "t.parquet")
    rows = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert rows == [
        {"path": "a.png", "height": 3, "width": 2, "classes": [("x", 1.0)], "mask": "masks/a.png", "seconds": 0.5, "error": None},
        {"path": "b.png", "height": None, "width": None, "classes": [], "mask": None, "seconds": None, "error": "b.png: bad"},
    ]  # fmt: skip


@pytest.fixture
def started():
    """Starts a cluster of so many CPUs here; its end is the test's."""
    pytest.importorskip("ray.data")
    ray = imported_ray()
    yield lambda cpus: ray.init(
        num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
    )
    ray.shutdown()


def actors_here(psutil) -> list:
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            found += [child] if "Labeller" in " ".join(child.cmdline()) else []
    return found


@pytest.mark.long
@pytest.mark.filterwarnings("default")  # Ray's own
def test_two_actors_one_killed_on_the_way(model, tmp_path, started):
    psutil = pytest.importorskip("psutil")
    sources = find_sources([str(write_pictures(tmp_path / "pictures", 2000))])
    started(2)
    loaded = partial(load, model, "cpu", "fp32")
    run = partial(predict_on_ray, loaded, sources, tmp_path / "out", KINDS, model_id="m", cpus=1)
    records, killed = [], []
    for record in run():
        records.append(record)
        if len(records) >= 300 and not killed and len(actors := actors_here(psutil)) == 2:
            actors[0].kill()
            killed += actors[:1]
    assert killed
    list(predict_files(loaded(), sources, tmp_path / "alone", KINDS))
    want, got = masks(tmp_path / "alone"), masks(tmp_path / "out")
    names = [str(source) for source in sources]
    assert sorted(record["source"] for record in records) == names
    assert [record["source"] for record in lines(tmp_path / "out" / "predictions.jsonl")] == names
    assert not any("error" in record for record in records)
    assert len(got) == 2000
    assert list(got) == list(want)
    assert len({mask.tobytes() for mask in want.values()}) > 1000
    for name, mask in got.items():
        np.testing.assert_array_equal(mask, want[name])
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.read_table(tmp_path / "out" / "predictions.parquet")["path"].to_pylist() == names
    again = list(run())
    assert [record["source"] for record in again] == names
    assert all(record["skipped"] for record in again)


class Deadly(Segmenter):
    """Dies of white pictures."""

    def predict_batch(self, pictures, extras):
        if any(each.min() == 255 for each in pictures):
            os._exit(1)
        return super().predict_batch(pictures, extras)


def deadly(model: Path) -> Segmenter:
    segmenter = load(model, "cpu", "fp32")
    segmenter.__class__ = Deadly
    return segmenter


@pytest.mark.long
@pytest.mark.filterwarnings("default")  # Ray's own
def test_one_cpu_and_a_picture_that_kills(model, tmp_path, started):
    folder = write_pictures(tmp_path / "pictures", 12)
    Image.new("RGB", (32, 32), "white").save(folder / "p0005.png")
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        tar.add(folder / "p0001.png", "in_tar.png")
    sources = find_sources([f"file://{folder}", str(tmp_path / "0.tar")])
    started(1)
    pytest.importorskip("ray").cloudpickle.register_pickle_by_value(sys.modules[__name__])
    records = list(predict_on_ray(partial(deadly, model), sources, tmp_path / "out", KINDS, model_id="m"))
    assert sorted(record["source"] for record in records) == sorted(map(str, sources))
    assert [record["source"] for record in records if "error" in record] == [f"file://{folder}/p0005.png"]
    got = masks(tmp_path / "out")
    assert len(got) == 12
    np.testing.assert_array_equal(got["in_tar.png"], got["p0001.png"])
