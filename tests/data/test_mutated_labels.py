"""Whatever bytes label files hold, only our errors come out.

Mutations are of the kinds that disks, networks and ill will make: changed bytes, lengths that lie, cuts, gaps, repeats.
"""

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
from PIL import Image

from fullconv.data.classes import read_class_list, read_description
from fullconv.data.color_lists import read_colors
from fullconv.data.contents import Dataset
from fullconv.data.dataset import open_dataset
from fullconv.data.layouts.ade20k import read_object_info
from fullconv.data.matfile import read_mat_array, read_mat_names
from fullconv.data.samples import read_sample
from fullconv.errors import InputError

LENGTHS = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF8]


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four mutations of some bytes."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at, end = sorted(rng.integers(0, len(out) + 1, 2).tolist())
        match int(rng.integers(0, 7)):
            case 0:
                out[at : at + 1] = rng.bytes(1)
            case 1 if out:
                out[at % len(out)] ^= 1 << int(rng.integers(0, 8))
            case 2:
                out[at : at + 4] = int(rng.choice(LENGTHS)).to_bytes(4, rng.choice(["little", "big"]))
            case 3:
                del out[at:end]
            case 4:
                out[at:at] = out[at : min(end, at + 300)]
            case 5:
                out[at : at + 8] = rng.bytes(8)
            case 6:
                del out[at:]
    return bytes(out)


def encoded(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def table() -> pa.Table:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pictures = [{"bytes": encoded(np.full((3, 4, 3), i, np.uint8)), "path": f"{i}.png"} for i in range(5)]
    masks = [{"bytes": encoded(np.array([[0, 1, 2, i]] * 3, np.uint8)), "path": None} for i in range(5)]
    return pa.table({"image": pa.array(pictures, kind), "mask": pa.array(masks, kind)})


def mat(path: Path, compressed: bool = True) -> None:
    mask = np.arange(12, dtype=np.uint8).reshape(3, 4)
    content = {"names": np.array(["sky", "sea"], object), "S": mask, "GTcls": {"a": 1, "Segmentation": mask}}
    scipy.io.savemat(path, content, do_compression=compressed)


def read_mats(path: Path) -> int:
    return (
        refused(read_mat_array, path, "GTcls.Segmentation")
        + refused(read_mat_array, path, "S")
        + refused(read_mat_names, path, "names")
    )


def read_set(path: Path) -> int:
    found: list[Dataset] = []
    if refused(lambda: found.append(open_dataset(path.parent))):
        return 1
    samples = [sample for samples in found[0].splits.values() for sample in samples]
    return sum(refused(read_sample, sample, found[0].labels) for sample in samples)


def refused(read: Callable[..., object], *args: object) -> int:
    """1 where it ends in an error of ours, in one line; 0 where it does not. Other errors come through."""
    try:
        read(*args)
    except InputError as error:
        return 1 if "\n" not in str(error) else pytest.fail(str(error))
    return 0


def reading(read: Callable[[Path], object]) -> Callable[[Path], int]:
    return lambda path: refused(read, path)


def make(kind: str, folder: Path) -> tuple[Path, Callable[[Path], int]]:
    """A good file of a kind, and what reads it."""
    texts: dict[str, tuple[str, Callable[[Path], int]]] = {
        "objectInfo150.txt": (
            "Idx\tRatio\tName\n1\t0.5\twall\n2\t0.1\tbuilding, edifice\n3\t0\tsky\n",
            reading(read_object_info),
        ),
        "label_colors.txt": ("64 128 64\tAnimal\n192 0 128\tArchway\n0 0 0\tVoid\n", reading(read_colors)),
        "class_dict.csv": ("name,r,g,b\nAnimal,64,128,64\nVoid,0,0,0\n", reading(read_colors)),
        "classes.txt": ("background\nbag\n", reading(read_class_list)),
        "dataset.yaml": (
            "name: x\nclasses: [a, {name: b, color: [1, 2, 3]}]\nignore: [7]\n",
            reading(read_description),
        ),
    }
    if kind in texts:
        (folder / kind).write_text(texts[kind][0])
        return folder / kind, texts[kind][1]
    path = folder / kind
    if kind == "packed.mat":
        mat(path)
        return path, read_mats
    if kind == "plain.mat":
        mat(path, compressed=False)
        return path, read_mats
    if kind == "train.parquet":
        pq.write_table(table(), path, row_group_size=2)
        return path, read_set
    if kind == "raw.parquet":
        pq.write_table(table(), path, compression="none", data_page_version="2.0")
        return path, read_set
    if kind == "data.arrow":
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table().schema) as writer:
            writer.write_table(table())
        (folder / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
        return path, read_set
    pq.write_table(table(), folder / "train.parquet")
    if kind == "id2label.json":
        path.write_text('{"0": "a", "1": "b", "2": "c", "3": "d", "4": "e"}')
    elif kind == "README.md":
        path.write_text(
            "---\ndataset_info:\n  features:\n  - name: mask\n    dtype: {names: [a, b, c, d, e]}\n---\nx\n"
        )
    elif kind == "dataset_infos.json":
        path.write_text(json.dumps({"x": {"features": {"mask": {"names": list("abcde")}}}}))
    elif kind == "train.txt":
        (folder / "train.parquet").unlink()
        path = make_segnet(folder)
    else:
        raise AssertionError(kind)
    return path, read_set


def make_segnet(folder: Path) -> Path:
    for name in ("train", "trainannot"):
        (folder / name).mkdir()
        for key in "abc":
            (folder / name / f"{key}.png").write_bytes(encoded(np.zeros((2, 2), np.uint8)))
    lines = [f"/SegNet/CamVid/train/{key}.png /SegNet/CamVid/trainannot/{key}.png" for key in "abc"]
    (folder / "train.txt").write_text("\n".join(lines))
    return folder / "train.txt"


KINDS = [
    "objectInfo150.txt", "label_colors.txt", "class_dict.csv", "classes.txt", "dataset.yaml", "packed.mat", "plain.mat",
    "train.parquet", "raw.parquet", "data.arrow", "id2label.json", "README.md", "dataset_infos.json", "train.txt",
]  # fmt: skip


FOUND = {"data.arrow": [2042]}
"""Seeds that once went wrong."""


def mutate_and_read(folder: Path, kind: str, seeds: Iterable[int]) -> int:
    """How many readings of mutated files ended in an error of ours."""
    path, read = make(kind, folder)
    data, count = path.read_bytes(), 0
    assert read(path) == 0  # the good one is read
    for seed in seeds:
        path.write_bytes(mutated(data, np.random.default_rng((seed, len(kind)))))
        try:
            count += read(path)
        except Exception as error:
            raise AssertionError(f"{kind}, seed {seed}: {type(error).__name__}: {error}") from error
    return count


@pytest.mark.parametrize("kind", KINDS)
def test_some_mutations(tmp_path: Path, kind):
    assert (
        mutate_and_read(tmp_path, kind, [*range(40), *FOUND.get(kind, [])]) > 0 or kind == "README.md"
    )  # a card need not be understood


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_many_mutations(tmp_path: Path, kind):
    assert mutate_and_read(tmp_path, kind, range(1000, 2500)) > 100 or kind == "README.md"
