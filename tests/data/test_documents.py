"""Files of other programs: read whole or item by item, and what is wrong with them in one line."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullconv.data import documents
from fullconv.data.documents import (
    Coordinate,
    Part,
    checked,
    head,
    inside,
    read_bytes,
    read_item,
    read_items,
    read_json,
    shortened,
)
from fullconv.errors import DataError


class Point(Part):
    xy: tuple[Coordinate, Coordinate]
    name: str = ""


def file_with(folder: Path, content: bytes) -> Path:
    path = folder / "a.json"
    path.write_bytes(content)
    return path


def test_a_whole_file(tmp_path: Path):
    path = file_with(tmp_path, b'\xef\xbb\xbf{"xy": [1, 2.5], "name": "\xc3\xa9", "other": null}')
    assert read_json(path, Point) == Point(xy=(1, 2.5), name="é")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            b"",
            "is not JSON (EOF while parsing a value at line 1 column 0); expected a whole JSON file; copy or export",
        ),
        (b'{"xy": [1,', "is not JSON (EOF"),
        (b'{"xy": [1, 2], "name": "\xff"}', "is not JSON (invalid unicode"),
        (b'{"xy": [1, 2], "name": "\\ud800"}', "is not JSON ("),
        (b"[" * 100_000, "is not JSON (recursion limit"),
        (b"[]", "got a list of 0, expected an object"),
        (b"{}", "xy: is missing; expected a value"),
        (b'{"xy": [1, 2, 3]}', "xy: got a list of 3, expected at most 2 items"),
        (b'{"xy": [1, NaN]}', "xy[1]: got nan, expected a finite number"),
        (b'{"xy": [1, 1e999]}', "xy[1]: got inf, expected a finite number"),
        (b'{"xy": [1, 1e10]}', "xy[1]: got 10000000000.0, expected less than or equal to 1000000000"),
        (b'{"xy": [1, 2], "name": {"a": 1}}', "name: got an object of 1, expected a valid string"),
        (b'{"xy": [1, ' + b"9" * 4000 + b"]}", "xy[1]: got "),
    ],
)
def test_what_is_wrong_with_a_whole_file(tmp_path: Path, content, complaint):
    path = file_with(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_json(path, Point)
    assert str(caught.value).startswith(f"{path}: {complaint}")
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch):
    with pytest.raises(
        DataError, match=r"no.json: cannot be read \(No such file or directory\); check the path"
    ):
        read_bytes(tmp_path / "no.json")
    with pytest.raises(DataError, match="cannot be read"):
        list(read_items(tmp_path))
    with pytest.raises(DataError, match="cannot be read"):
        read_item(tmp_path / "no.json", 0, 1)
    assert head(tmp_path / "no.json") == ""
    path = file_with(tmp_path, b"[1]")
    assert head(path) == "[1]"
    monkeypatch.setattr(documents, "MAX_BYTES", 2)
    with pytest.raises(DataError, match=r"a.json: has more than 2 bytes; expected less; split it"):
        read_bytes(path)


def test_the_place_of_a_value_in_a_larger_file():
    with pytest.raises(DataError, match=r"^x.json: images\[3\].xy\[0\]: got 'a', expected a valid number"):
        checked({"xy": ["a", 1]}, Point, "x.json: images[3]")
    with pytest.raises(DataError, match=r"^x.yaml: xy\[0\]: got 'a'"):
        checked({"xy": ["a", 1]}, Point, "x.yaml", joint=": ")
    with pytest.raises(DataError, match=r"^x.json: images\[3\]: got 7, expected a valid dictionary"):
        checked(7, Point, "x.json: images[3]")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
spaces = st.sampled_from(["", " ", "\n\t "])


@given(st.lists(json_values, max_size=5), spaces, st.booleans(), st.integers(1, 40))
def test_items_of_a_list(tmp_path_factory, values, space, escaped, block):
    content = space + json.dumps(values, ensure_ascii=escaped, separators=(f"{space},", ":")) + space
    path = file_with(tmp_path_factory.mktemp("json"), content.encode("utf-8", "surrogatepass"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "_BLOCK", block)  # values are cut anywhere
        found = list(read_items(path))
    assert [item.value for item in found] == values
    assert [(item.key, item.index) for item in found] == [("", index) for index in range(len(values))]
    assert [read_item(path, item.start, item.size) for item in found] == values


@given(
    st.dictionaries(st.text(), st.lists(json_values, max_size=3) | json_values, max_size=4),
    spaces,
    st.integers(1, 40),
)
def test_items_of_the_lists_of_an_object(tmp_path_factory, value, space, block):
    path = file_with(tmp_path_factory.mktemp("json"), (json.dumps(value, indent=1) + space).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "_BLOCK", block)
        found = [(item.key, item.index, item.value) for item in read_items(path)]
    assert found == [
        (key, i, one) for key, many in value.items() if isinstance(many, list) for i, one in enumerate(many)
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "it ends too early, byte 0"),
        (b'{"a": [1, 2', "it ends too early, byte 11"),
        (b"[1,,2]", "Expecting value, byte 3"),
        (b"[1 2]", "got '2', expected ',' or ']', byte 3"),
        (b"[1]]", "something follows its end, byte 3"),
        (b'"a"', "got '\"', expected '{', byte 0"),
        (b"{1: 2}", "got '1', expected '\"', byte 1"),
        (b'{"a" 1}', "got '1', expected ':', byte 5"),
        (b'["\xff"]', "not UTF-8: invalid start byte"),
        (b"[" * 100_000, "nested too deep, or a number too long"),
        (b"[" + b"9" * 5000 + b"]", "nested too deep, or a number too long"),
    ],
)
def test_what_is_wrong_with_a_file_of_items(tmp_path: Path, content, complaint):
    path = file_with(tmp_path, content)
    with pytest.raises(DataError) as caught:
        list(read_items(path))
    assert (
        str(caught.value)
        == f"{path}: is not JSON ({complaint}); expected a whole JSON file; copy or export it again"
    )


def test_an_item_that_does_not_end(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(documents, "_BLOCK", 8)
    monkeypatch.setattr(documents, "MAX_BYTES", 100)
    with pytest.raises(
        DataError, match=r"a value of more than 100 bytes, or one that does not end, byte 1\)"
    ):
        list(read_items(file_with(tmp_path, b'["' + b"a" * 5000)))


def test_a_file_that_changes(tmp_path: Path):
    path = file_with(tmp_path, b'[{"a": 1}]')
    [item] = read_items(path)
    path.write_bytes(b"[1234 678]")
    with pytest.raises(DataError, match=r"a.json: has changed since it was opened; start again"):
        read_item(path, item.start, item.size)


@pytest.mark.parametrize(
    ("name", "found"),
    [("a.jpg", "d/a.jpg"), ("./b//a.jpg", "d/b/a.jpg"), ("b\\a.jpg", "d/b/a.jpg"), ("b/../a.jpg", "d/a.jpg")],
)
def test_names_of_files(name, found):
    assert inside(Path("d"), name, "x.json").as_posix() == found


def test_names_from_a_folder_within():
    assert inside(Path("d"), "../images/a.jpg", "x.json", Path("d/json")).as_posix() == "d/images/a.jpg"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../a",
        "b/../../a",
        "/etc/passwd",
        "\\\\host\\a",
        "C:\\a",
        "C:/a",
        "a\0",
        "a/..",
        "x" * 300,
        "a/" * 3000,
    ],
)
def test_names_that_lead_elsewhere(name):
    with pytest.raises(DataError, match=r"^x.json: got .*, expected the name of a file in d; correct it$"):
        inside(Path("d"), name, "x.json")


@pytest.mark.parametrize(
    ("value", "text"),
    [(10**50, "a number of more than 40 digits"), ({"a": 1}, "an object of 1"), (True, "True"), (1.5, "1.5")],
)
def test_values_in_messages(value: Any, text):
    assert shortened(value) == text
