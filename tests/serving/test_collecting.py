"""Pictures with corrected masks become a data folder: whole, without doubles, and good for training."""

import asyncio
import hashlib
import io
import os
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from service_helpers import LABELS, application, asked, code_of, encoded, picture_of

from fullconv.data.dataset import open_dataset
from fullconv.data.masks import encode_mask, read_mask
from fullconv.data.pictures import read_picture
from fullconv.errors import ConfigError, DataError, InputError, PictureError, StorageError
from fullconv.labels import LabelSet
from fullconv.serving import collecting
from fullconv.serving.collecting import Collection
from fullconv.serving.settings import Settings
from fullconv.storage import write_atomically

PICTURE = picture_of(12, 18)
LABEL_MAP = np.random.default_rng(0).integers(0, 3, (12, 18), np.uint8)
FILE, MASK = encoded(PICTURE), encode_mask(LABEL_MAP, LABELS)


def files_in(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.name != collecting.LOCK
    )


@pytest.fixture
def collect():
    """Opens folders, and closes them in the end."""
    with ExitStack() as stack:
        yield lambda folder, labels=LABELS: stack.enter_context(closing(Collection(folder, labels)))


def saved(collection: Collection, picture: bytes = FILE, mask: bytes = MASK, name: str = "photo.png"):
    return collection.save(picture, mask, name, Settings())


def test_a_picture_and_its_mask_become_a_data_set(collect, tmp_path):
    collection = collect(tmp_path / "street")
    for seed in range(13):
        saved(collection, encoded(picture_of(12, 18, seed)), name=f"a {seed}.png")
    assert collection.count() == {"train": 11, "val": 2}
    dataset = open_dataset(tmp_path / "street")
    assert (dataset.layout_name, dataset.name, dataset.labels) == ("twin", "street", LABELS)
    assert [len(dataset.splits[split]) for split in ("train", "val")] == [11, 2]
    assert sorted(sample.name.split("-")[0] for sample in dataset.splits["val"]) == ["a_1", "a_11"]
    for samples in dataset.splits.values():
        for sample in samples:
            seed = int(sample.name.split("-")[0].removeprefix("a_"))
            np.testing.assert_array_equal(read_picture(sample.picture), picture_of(12, 18, seed))
            np.testing.assert_array_equal(read_mask(sample.mask, LABELS), LABEL_MAP)


def test_the_picture_is_kept_to_the_byte_under_its_name_and_digest(collect, tmp_path):
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, "JPEG")
    place = saved(collect(tmp_path), stream.getvalue(), name="../../Straße 1.PNG")
    digest = hashlib.sha256(stream.getvalue()).hexdigest()[:8]
    assert (place.name, place.split, place.replaced) == (f"Straße_1-{digest}", "train", False)
    assert (tmp_path / "images/train" / f"{place.name}.jpg").read_bytes() == stream.getvalue()


def test_saving_again_replaces_the_mask_whatever_the_picture_is_called_now(collect, tmp_path):
    collection = collect(tmp_path)
    saved(collection)
    collection.close()  # a second service, later
    again = collect(tmp_path)
    place = saved(again, mask=encode_mask(np.full_like(LABEL_MAP, 255), LABELS), name="other.png")
    assert place.replaced
    assert place.name.startswith("photo-")
    assert again.count() == {"train": 1, "val": 0}
    assert files_in(tmp_path) == [
        "dataset.yaml",
        f"images/train/{place.name}.png",
        f"masks/train/{place.name}.png",
    ]
    assert (read_mask(tmp_path / "masks/train" / f"{place.name}.png", LABELS) == 255).all()


def test_a_mask_whose_picture_was_never_written_finds_it_later(collect, tmp_path):
    """As after a power cut between the two: it keeps its split."""
    collection = collect(tmp_path)
    name = f"photo-{collecting.digest_of(FILE)}.png"
    write_atomically(tmp_path / "masks/val" / name, MASK)
    (tmp_path / "masks/val/.0123456789ab.partial").write_bytes(b"half")
    collection.close()
    collection = collect(tmp_path)
    place = saved(collection)
    assert (place.split, place.replaced) == ("val", False)
    assert files_in(tmp_path) == ["dataset.yaml", f"images/val/{name}", f"masks/val/{name}"]


@pytest.mark.parametrize("which", [1, 2])
def test_on_a_full_disk_nothing_is_half_written(collect, tmp_path, monkeypatch, which):
    collection = collect(tmp_path)
    before, writes = files_in(tmp_path), 0

    def full(path: Path, content: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes == which:
            raise StorageError("disk full")
        write_atomically(path, content)

    monkeypatch.setattr(collecting, "write_atomically", full)
    with pytest.raises(StorageError):
        saved(collection)
    assert files_in(tmp_path) == before
    assert collection.count() == {"train": 0, "val": 0}
    assert not saved(collection).replaced


def test_a_full_disk_is_said_and_the_service_goes_on(tmp_path, monkeypatch, caplog):
    def full(path: Path, content: bytes) -> None:
        raise StorageError("disk full: cannot write /secret/place; free space and try again")

    monkeypatch.setattr(collecting, "write_atomically", full)

    async def ask(client):
        refused = await post(client)
        assert (await client.get("/v1/collect")).json()["count"] == 0
        assert (await client.post("/v1/predict", files={"image": ("a.png", FILE)})).status_code == 200
        return refused

    reply = asked(ask, settings=Settings(collect=tmp_path))
    assert (reply.status_code, code_of(reply)) == (507, "storage_full")
    assert "secret" not in reply.text
    assert any("secret" in record.facts.get("reason", "") for record in caplog.records)


def other_mode(mode: str, size=(18, 12)) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, "PNG")
    return stream.getvalue()


def grey(value: int) -> bytes:
    return encoded(np.full((12, 18), value, np.uint8))


@pytest.mark.parametrize(
    ("picture", "mask", "error", "words"),
    [
        (FILE, b"x", PictureError, "mask: is not a picture"),
        (FILE, MASK[:-40], PictureError, "mask: is damaged or cut short"),
        (FILE, encoded(PICTURE, "JPEG"), PictureError, "mask: is a JPEG picture; expected PNG"),
        (FILE, other_mode("RGB"), InputError, "colour mode RGB"),
        (FILE, other_mode("I;16"), InputError, "colour mode I;16"),
        (FILE, other_mode("L", (12, 18)), InputError, "is 12 x 18 pixels; expected 18 x 12"),
        (FILE, grey(3), InputError, "id 3 on 216 pixels is no class; expected 0..2, or 255"),
        (b"", MASK, PictureError, "image: is empty"),
        (FILE[:-60], MASK, PictureError, "image: is damaged or cut short"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    collect, tmp_path, picture, mask, error, words
):
    collection = collect(tmp_path)
    with pytest.raises(error, match=words):
        saved(collection, picture, mask)
    assert files_in(tmp_path) == ["dataset.yaml"]


@pytest.mark.parametrize("turn", range(1, 9))
def test_the_mask_has_the_size_of_the_upright_picture(collect, tmp_path, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, "JPEG", exif=exif)
    label_map = LABEL_MAP if turn < 5 else np.ascontiguousarray(LABEL_MAP.T)
    place = saved(collect(tmp_path), stream.getvalue(), encode_mask(label_map, LABELS))
    (sample,) = open_dataset(tmp_path).splits[place.split]
    assert read_picture(sample.picture).shape[:2] == read_mask(sample.mask, LABELS).shape


def test_limits_go_before_decoding(collect, tmp_path):
    collection = collect(tmp_path)
    with pytest.raises(PictureError, match="at most 100 are read"):
        collection.save(FILE, MASK, "a", Settings(max_pixels=100))


CLASSES = "classes: [{name: red, color: [9, 9, 9]}, green, blue]"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"dataset.yaml": "classes: [red, green]"}, "has 2 classes, the model 3"),
        ({"dataset.yaml": "classes: [red, grey, blue]"}, "class 1 is 'grey', the model's 'green'"),
        ({"dataset.yaml": "classes: ["}, "is not YAML"),
        ({"dataset.yaml": "layout: twin"}, "asks for more than a mask"),
        ({"dataset.yaml": f"{CLASSES}\nextra: {{folder: depth}}"}, "asks for more than a mask"),
        ({"dataset.yaml": CLASSES, "images/a.jpg": ""}, "has a.jpg, so that"),
        ({"dataset.yaml": CLASSES, "train.txt": ""}, "has train.txt, so that"),
        ({"images/train/a.jpg": ""}, "no dataset.yaml with their classes"),
    ],
)
def test_folders_that_hold_something_else(collect, tmp_path, files, words):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    before = files_in(tmp_path)
    with pytest.raises(DataError, match=words) as caught:
        collect(tmp_path)
    assert "\n" not in str(caught.value)
    assert files_in(tmp_path) == before


def test_a_folder_with_the_same_classes_goes_on_in_its_own_colours(collect, tmp_path):
    (tmp_path / "dataset.yaml").write_text(CLASSES)
    saved(collect(tmp_path))
    dataset = open_dataset(tmp_path)
    assert dataset.labels.colors[0] == (9, 9, 9)
    (sample,) = dataset.splits["train"]
    np.testing.assert_array_equal(read_mask(sample.mask, dataset.labels), LABEL_MAP)


def test_more_classes_than_masks_hold(collect, tmp_path):
    names = tuple(map(str, range(256)))
    labels = LabelSet(names, tuple((index, 0, 1) for index in range(256)))
    with pytest.raises(DataError, match="at most 255"):
        collect(tmp_path, labels)


@pytest.mark.skipif(os.name == "nt", reason="there are no such locks")
def test_one_service_to_a_folder(collect, tmp_path):
    collect(tmp_path).close()
    code = (
        "import fcntl, sys; file = open(sys.argv[1], 'a+b'); fcntl.lockf(file, fcntl.LOCK_EX); "
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / collecting.LOCK)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match="another service collects there"):
            collect(tmp_path)
        assert other.stdin is not None
        other.stdin.close()
        other.wait(30)
    collect(tmp_path)


def test_a_place_that_cannot_be_a_folder(collect, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        collect(tmp_path / "file" / "street")


def post(client, picture: bytes = FILE, mask: bytes = MASK):
    files = {"image": ("my photo.png", picture, "image/png"), "mask": ("mask.png", mask, "image/png")}
    return client.post("/v1/collect", files=files)


def test_through_the_service(tmp_path):
    async def ask(client):
        assert (await client.get("/v1/collect")).json() == {
            "on": True, "folder": "street", "count": 0, "splits": {"train": 0, "val": 0}
        }  # fmt: skip
        return await post(client)

    reply = asked(ask, settings=Settings(collect=tmp_path / "street"))
    told = reply.json()
    assert (told["count"], told["splits"], told["folder"]) == (1, {"train": 1, "val": 0}, "street")
    assert told["saved"]["name"].startswith("my_photo-")


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ({"image": ("a", FILE)}, 422),
        ({"image": ("a", FILE), "mask": ("b", MASK), "path": ("c", b"/etc")}, 422),
        ({"image": ("a", FILE), "mask": ("b", grey(9))}, 422),
        ({"image": ("a", b"%PDF"), "mask": ("b", MASK)}, 415),
        ({"image": ("a", b"nothing"), "mask": ("b", MASK)}, 400),
    ],
)
def test_what_the_service_refuses(tmp_path, files, status):
    reply = asked(lambda client: client.post("/v1/collect", files=files), settings=Settings(collect=tmp_path))
    assert reply.status_code == status
    code_of(reply)
    assert files_in(tmp_path) == ["dataset.yaml"]


def test_without_a_folder_nothing_is_taken_in():
    assert asked(lambda client: client.get("/v1/collect")).json()["on"] is False
    reply = asked(post)
    assert (reply.status_code, code_of(reply)) == (404, "not_found")


def test_a_folder_with_other_classes_ends_the_service_at_its_start(tmp_path):
    (tmp_path / "dataset.yaml").write_text("classes: [red, green]")

    async def main() -> None:
        async with application(settings=Settings(collect=tmp_path)) as (_, service):
            assert isinstance(service.failure, InputError)  # what `connections.serve` ends for, in one line
            assert "has 2 classes, the model 3" in str(service.failure)

    asyncio.run(main())
