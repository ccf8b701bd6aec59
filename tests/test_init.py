"""The public names."""

import subprocess
import sys

import pytest

import fullconv


def test_public_names():
    capitals = ["IGNORE_INDEX", "Confusion", "FullconvError", "LabelSet", "Prediction", "Segmenter"]
    assert fullconv.__all__ == [*capitals, "bilinear_kernel", "build_model", "convolutionalize", "load"]
    for name in fullconv.__all__:
        assert getattr(fullconv, name) is not None
    assert set(fullconv.HOMES) == set(fullconv.__all__)
    assert set(fullconv.__all__) < set(dir(fullconv))


def test_other_names_do_not_exist():
    with pytest.raises(AttributeError, match="no attribute 'segmenter_'"):
        fullconv.segmenter_  # noqa: B018


def test_importing_the_package_is_light():
    code = "import sys, fullconv; assert not {'torch', 'numpy', 'timm'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
