"""Where exports go, and what they may take the place of."""

from pathlib import Path

import pytest

from fullconv.errors import ConfigError
from fullconv.export.files import metadata, target_of


def test_files_and_folders(tmp_path):
    assert target_of(tmp_path / "a.xml", "openvino") == tmp_path / "a.xml"
    assert target_of(tmp_path / "v1.2", "torch") == tmp_path / "v1.2" / "model.pt2"
    assert target_of(Path("a"), "onnx") == Path("a/model.onnx")


def test_refused(tmp_path):
    for name in ("a.pt2", "a.xml", "a.bin", "a.json"):
        with pytest.raises(ConfigError, match=r"does not end in \.onnx, as files for onnx do"):
            target_of(tmp_path / name, "onnx")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file is a file; give a folder, or a name that ends in \.onnx"):
        target_of(tmp_path / "file", "onnx")
    (tmp_path / "d.onnx").mkdir()
    with pytest.raises(ConfigError, match=r"d\.onnx is there already and no export"):
        target_of(tmp_path / "d.onnx", "onnx")
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"b\.json is there already and no export; give another name"):
        target_of(tmp_path / "b.onnx", "onnx")


def test_metadata_is_text():
    assert metadata({"a": "plain", "b": [1, "é"]}) == {"a": "plain", "b": '[1, "é"]'}
