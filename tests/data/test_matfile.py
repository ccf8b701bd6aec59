"""MAT-files give what scipy reads from them, and what is damaged is refused."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fullconv.data.matfile import MAX_MAT_BYTES, read_mat_array, read_mat_names
from fullconv.errors import DataError, PictureError

DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mat")


@given(
    arrays.arrays(st.sampled_from(DTYPES), arrays.array_shapes(min_dims=2, max_dims=3, max_side=9)),
    st.booleans(),
)
def test_numbers_are_those_that_scipy_reads(folder: Path, array, compressed):
    path = folder / "numbers.mat"
    scipy.io.savemat(path, {"other": "text", "S": array}, do_compression=compressed)
    expected = scipy.io.loadmat(path)["S"]
    found = read_mat_array(path, "S")
    assert found.shape == expected.shape
    assert np.array_equal(found, expected, equal_nan=array.dtype.kind == "f")


@pytest.mark.parametrize("compressed", [False, True])
def test_fields_of_structs(tmp_path: Path, compressed):
    mask = np.arange(12, dtype=np.uint8).reshape(3, 4)
    edges = np.empty((2, 1), object)
    edges[0, 0], edges[1, 0] = scipy.sparse.csc_matrix(np.eye(3)), scipy.sparse.csc_matrix((3, 3))
    content = {"GTcls": {"Boundaries": edges, "Segmentation": mask, "Categories": [1, 5]}}
    scipy.io.savemat(tmp_path / "a.mat", content, do_compression=compressed)
    assert (read_mat_array(tmp_path / "a.mat", "GTcls.Segmentation") == mask).all()
    assert read_mat_array(tmp_path / "a.mat", "GTcls.Categories").tolist() == [[1, 5]]


def test_lists_of_names(tmp_path: Path):
    names = ["awning", "", "sea side", "straße"]
    scipy.io.savemat(tmp_path / "a.mat", {"names": np.array(names, object), "S": np.eye(2)})
    assert read_mat_names(tmp_path / "a.mat", "names") == names
    with pytest.raises(DataError, match=r"a\.mat: S is no list of names; expected a cell array of texts"):
        read_mat_names(tmp_path / "a.mat", "S")
    scipy.io.savemat(tmp_path / "b.mat", {"names": np.array([1, "a"], object)})
    with pytest.raises(DataError, match="names is no list of names"):
        read_mat_names(tmp_path / "b.mat", "names")


def written(order: str) -> bytes:
    """A file by hand, as the format's description has it: an int16 array [[1, 3], [2, -4]] named S."""

    def element(kind: int, data: bytes) -> bytes:
        return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)

    inside = element(6, struct.pack(f"{order}II", 10, 0))
    inside += element(5, struct.pack(f"{order}ii", 2, 2))
    inside += struct.pack(f"{order}I", 1 << 16 | 1) + b"S\0\0\0"  # a name so short that it stands in the tag
    inside += element(3, struct.pack(f"{order}4h", 1, 2, 3, -4))
    version = struct.pack(f"{order}HH", 0x0100, 0x4D49)
    return b"MATLAB 5.0 MAT-file".ljust(124) + version + element(14, inside)


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(tmp_path: Path, order):
    path = tmp_path / "a.mat"
    path.write_bytes(written(order))
    assert (scipy.io.loadmat(path)["S"] == [[1, 3], [2, -4]]).all()
    assert (read_mat_array(path, "S") == [[1, 3], [2, -4]]).all()


def fault(path: Path, where: str = "S") -> str:
    with pytest.raises(DataError) as caught:
        read_mat_array(path, where)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_mask(tmp_path: Path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"T": np.eye(2), "U": {"a": 1}, "names": np.array(["a"], object)})
    assert fault(path) == f"{path}: has no variable S, but T, U, names; expected S"
    assert fault(path, "T.a") == f"{path}: is damaged or cut short, or lacks T.a; copy it again"
    assert fault(path, "U.b") == f"{path}: is damaged or cut short, or lacks U.b; copy it again"
    assert fault(path, "U") == f"{path}: U is no array of numbers; expected one; save it again"
    assert fault(path, "names") == f"{path}: names is no array of numbers; expected one; save it again"
    scipy.io.savemat(path, {"S": np.eye(2)}, format="4")
    assert fault(path) == f"{path}: is no MAT-file of versions 5 to 7; copy it again, or save it with -v7"
    path.write_bytes(b"MATLAB 7.3 MAT-file, Platform".ljust(124) + b"\0\2IM" + b"\x89HDF")
    assert fault(path) == f"{path}: is a MAT-file of version 7.3; expected 5 to 7; save it with -v7"
    path.write_bytes(b"")
    assert "is no MAT-file" in fault(path)
    with path.open("wb") as file:
        file.truncate(MAX_MAT_BYTES + 1)
    assert fault(path) == f"{path}: has more than 67,108,864 bytes; expected a mask's file; reduce it"
    with pytest.raises(PictureError, match=r"none\.mat: no such file"):
        read_mat_array(tmp_path / "none.mat", "S")


def test_lengths_are_not_believed(tmp_path: Path):
    path = tmp_path / "a.mat"
    data = written("<")
    claims = {
        "its dimensions": (data.index(struct.pack("<ii", 2, 2)), struct.pack("<ii", 2**31 - 1, 2)),
        "negative dimensions": (data.index(struct.pack("<ii", 2, 2)), struct.pack("<ii", -2, -2)),
        "its bytes": (data.index(struct.pack("<II", 3, 8)), struct.pack("<II", 3, 2**32 - 8)),
        "the whole": (132, struct.pack("<I", 2**32 - 1)),
        "a long name in the tag": (
            data.index(struct.pack("<I", 1 << 16 | 1)),
            struct.pack("<I", 0xFFFF << 16 | 1),
        ),
        "no such type": (data.index(struct.pack("<II", 3, 8)), struct.pack("<II", 99, 8)),
        "no flags": (136, struct.pack("<II", 6, 0)),
    }
    for what, (at, claim) in claims.items():
        path.write_bytes(data[:at] + claim + data[at + len(claim) :])
        assert "S" in fault(path), what


def test_what_unpacks_beyond_all_bounds_is_refused(tmp_path: Path):
    path = tmp_path / "a.mat"
    bomb = zlib.compress(bytes(MAX_MAT_BYTES + 1), 9)
    path.write_bytes(written("<")[:128] + struct.pack("<II", 15, len(bomb)) + bomb)
    assert fault(path) == f"{path}: is damaged or cut short, or lacks S; copy it again"
    nested = zlib.compress(struct.pack("<II", 15, 8) + zlib.compress(b"x" * 20)[:8])
    path.write_bytes(written("<")[:128] + struct.pack("<II", 15, len(nested)) + nested)
    assert fault(path) == f"{path}: has no variable S, but nothing; expected S"
