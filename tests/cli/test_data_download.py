"""fullconv data download, against a server on this machine."""

import hashlib
import io
import json
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from calling import call
from PIL import Image
from trouble import Page, serving

from fullconv.cli import data_download
from fullconv.data.public_sets import PUBLIC_SETS


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def small(monkeypatch):
    """A VOC 2012 of two pictures; the address is the last of two."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in {
            "ImageSets/Segmentation/train.txt": b"a",
            "ImageSets/Segmentation/val.txt": b"b",
            "JPEGImages/a.jpg": encoded(np.zeros((3, 4, 3), np.uint8), "JPEG"),
            "JPEGImages/b.jpg": encoded(np.zeros((3, 4, 3), np.uint8), "JPEG"),
            "SegmentationClass/a.png": encoded(np.ones((3, 4), np.uint8), "PNG"),
            "SegmentationClass/b.png": encoded(np.ones((3, 4), np.uint8), "PNG"),
        }.items():
            member = tarfile.TarInfo(f"VOCdevkit/VOC2012/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    data = stream.getvalue()
    with serving() as server:
        server.pages["voc.tar"] = Page(data, '"1"')
        first = PUBLIC_SETS["voc2012"].archives[0]
        addresses = (server.address("none.tar"), server.address("voc.tar"))
        remote = replace(
            first.file, addresses=addresses, digest=f"md5:{hashlib.md5(data).hexdigest()}", size=len(data)
        )
        wanted = replace(
            PUBLIC_SETS["voc2012"],
            archives=(replace(first, file=remote),),
            pictures={"train": 1, "val": 1},
            advice="look at {folder}",
        )
        monkeypatch.setitem(PUBLIC_SETS, "voc2012", wanted)
        yield hashlib.sha256(data).hexdigest()


def test_download(small, capsys, tmp_path):
    code, out, err = call(capsys, "data", "download", "voc2012", tmp_path / "voc")
    assert code == 0
    assert out == f"{tmp_path}/voc: 1 train, 1 val; 21 classes (VOCdevkit with lists train.txt, val.txt)\n"
    lines = err.splitlines()
    assert lines[0] == "voc2012: PASCAL VOC 2012: objects in photographs"
    assert lines[1].startswith(
        "licence  none stated; the pictures are Flickr users', under Flickr's terms (http://"
    )
    assert lines[2:5] == [
        f"{what} VOCtrainval_11-May-2012.tar" for what in ("fetching", "checking", "unpacking")
    ]
    assert lines[5:] == [
        f"VOCtrainval_11-May-2012.tar: SHA-256 {small}; compared with what is published: MD5",
        f"note     look at {tmp_path}/voc",
        f"next     fullconv data info {tmp_path}/voc",
    ]
    code, _, err = call(capsys, "data", "download", "voc2012", tmp_path / "voc")
    assert code == 0
    assert "it was there already; nothing was fetched" in err


def test_json(small, capsys, tmp_path):
    code, out, _ = call(capsys, "data", "download", "voc2012", tmp_path / "voc", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["files"] == [
        {
            "name": "VOCtrainval_11-May-2012.tar",
            "size": told["files"][0]["size"],
            "sha256": small,
            "checked": "MD5",
        }
    ]
    assert told["splits"] == {"train": 1, "val": 1}
    assert (told["name"], told["num_classes"], told["was_there"]) == ("voc2012", 21, False)


def test_list(capsys):
    code, out, err = call(capsys, "data", "download")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "voc2012                  2,913       21    2.0 GB\n" in out
    assert "camvid                     701       11   ~190 MB\n" in out
    assert "cityscapes               3,475       19  ~11.2 GB  needs an account\n" in out
    told = json.loads(call(capsys, "data", "download", "--json")[1])["sets"]
    assert list(told) == list(PUBLIC_SETS)
    assert told["voc2007"]["bytes"] == 460_032_000 + 451_020_800


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["voc2012"], 2, "no folder is given; try 'fullconv data download voc2012 data/voc2012'"),
        (["voc", "x"], 1, "unknown data set 'voc'; did you mean 'voc2012'?"),
        (
            ["cityscapes", "x"],
            1,
            "cityscapes needs an account: log in at https://www.cityscapes-dataset.com/downl",
        ),
    ],
)
def test_mistakes(capsys, args, code, said):
    got, out, err = call(capsys, "data", "download", *args)
    assert (got, out) == (code, "")
    assert said in err


def test_plain_progress(capsys, monkeypatch):
    monkeypatch.setattr(data_download, "PLAIN_SECONDS", 0)
    with data_download.TransferDisplay() as display:
        display.tell("fetching", "a.tar", 0, 4_000_000)
        display.tell("fetching", "a.tar", 1_000_000, 4_000_000)
        display.tell("unpacking", "a.tar", 2_000_000, None)
    said = capsys.readouterr().err
    assert "fetching a.tar: 1 MB of 4 MB, " in said
    assert "/s, " in said
    assert "unpacking a.tar: 2 MB\n" in said
