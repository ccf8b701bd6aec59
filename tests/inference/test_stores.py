"""Pictures in S3 and in Google Cloud Storage, as emulators of both speak: real protocols, on this machine.

uv fetches the emulators into environments of their own.
"""

import io
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fullconv.errors import InputError
from fullconv.inference.folder import find_sources, predict_files
from fullconv.inference.segmenter import Segmenter

pytestmark = pytest.mark.long

UV = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
EMULATORS = {
    "s3": ["--from", "moto[server,s3]==5.2.5", "moto_server", "-H", "127.0.0.1", "-p"],
    "gs": ["gcp-storage-emulator==2026.7.19", "start", "--host=127.0.0.1", "--in-memory", "--default-bucket=photos", "--port"],
}  # fmt: skip
NAMES = ("street/a.png", "street/b c.png", "street/deep/größe.png", "d.png")


class Tiny(nn.Conv2d):
    def __init__(self) -> None:
        super().__init__(3, 4, 3, padding=1)
        self.num_classes = 4


@pytest.fixture(params=EMULATORS)
def store(request, monkeypatch) -> Iterator[tuple[object, Callable[[str], str]]]:
    """pyarrow's file system of an empty bucket "photos", and the address of a key in it."""
    fs = pytest.importorskip("pyarrow.fs")
    if UV is None:
        pytest.skip("no uv, which fetches the emulators; pip install uv")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = f"127.0.0.1:{port}"
    command = [UV, "tool", "run", *EMULATORS[request.param], str(port)]
    emulator = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, emulator)
        if request.param == "s3":
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anyone")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
            system = fs.S3FileSystem(
                endpoint_override=place, scheme="http", region="us-east-1", allow_bucket_creation=True
            )
            system.create_dir("photos")
            yield (
                system,
                lambda key: f"s3://photos{key}?endpoint_override={place}&scheme=http&region=us-east-1",
            )
        else:
            system = fs.GcsFileSystem(anonymous=True, endpoint_override=place, scheme="http")
            yield system, lambda key: f"gs://anonymous@photos{key}?endpoint_override={place}&scheme=http"
    finally:
        emulator.terminate()
        emulator.wait(30)


def wait_for(port: int, emulator: subprocess.Popen) -> None:
    for _ in range(600):
        if emulator.poll() is not None:
            pytest.skip("uv cannot fetch the emulator; it needs the package registry")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    pytest.fail("the emulator does not answer")


def encoded(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def shard(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_pictures_in_a_store_are_labelled_as_files_are(store, tmp_path):
    system, address = store
    contents = {name: encoded(seed) for seed, name in enumerate(NAMES)}
    packed = {f"{index}.png": encoded(10 + index) for index in range(3)}
    for name, content in {
        **contents,
        "shards/0.tar": shard(packed),
        "street/notes.txt": b"no picture",
    }.items():
        with system.open_output_stream(f"photos/{name}") as stream:
            stream.write(content)

    torch.manual_seed(0)
    segmenter = Segmenter(Tiny(), precision="fp32")
    want = {}
    for name, content in (contents | packed).items():
        pixels = np.asarray(Image.open(io.BytesIO(content)))
        want[Path(name).name] = segmenter.predict(pixels).label_map

    counts = {"/street": 3, "/*.png": 1, "/street/*.png": 2, "/street/a.png": 1, "/shards/0.tar": 3, "": 7}
    for key, count in counts.items():
        sources = find_sources([address(key)])
        assert len(sources) == count, key
        out = tmp_path / str(count)
        records = list(predict_files(segmenter, sources, out, {"mask", "json"}, model_id="m"))
        assert [record.get("error") for record in records] == [None] * count
        for file in (out / "masks").iterdir():
            np.testing.assert_array_equal(np.asarray(Image.open(file)), want[file.name])

    sources = find_sources([address("/street")])
    system.delete_file("photos/street/a.png")
    gone, *others = predict_files(segmenter, sources, tmp_path / "gone", {"mask", "json"})
    assert "photos/street/a.png: cannot be read" in gone["error"]
    assert "\n" not in gone["error"]
    assert [record.get("error") for record in others] == [None, None]

    with pytest.raises(InputError, match="holds no picture"):
        find_sources([address("/nothing")])


def test_a_store_that_does_not_answer_is_one_line(tmp_path):
    pytest.importorskip("pyarrow")
    address = "s3://photos/a.png?endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1"
    with pytest.raises(InputError, match="check address and rights") as caught:
        find_sources([address])
    assert "\n" not in str(caught.value)
