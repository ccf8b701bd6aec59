"""The exception tree: what catches what, and the suggestion for a mistyped name."""

import inspect

import pytest

from fullconv import errors
from fullconv.errors import (
    BundleError,
    ConfigError,
    DataError,
    FullconvError,
    InputError,
    PictureError,
    RunError,
    StorageError,
    UnknownNameError,
)


@pytest.mark.parametrize("kind", [ConfigError, UnknownNameError, PictureError, DataError])
def test_errors_of_input_are_value_errors(kind):
    assert issubclass(kind, InputError)
    assert issubclass(kind, ValueError)
    assert not issubclass(kind, RuntimeError)


@pytest.mark.parametrize("kind", [BundleError, StorageError])
def test_errors_of_work_are_runtime_errors(kind):
    assert issubclass(kind, RunError)
    assert issubclass(kind, RuntimeError)
    assert not issubclass(kind, ValueError)


def test_the_tree_in_the_docstring_is_the_tree_of_the_module():
    classes = {
        name: kind
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if kind.__module__ == errors.__name__
    }
    drawn = [line.split("── ")[1].split()[0] for line in (errors.__doc__ or "").splitlines() if "── " in line]
    assert sorted(drawn) == sorted(set(classes) - {"FullconvError"})
    assert all(issubclass(kind, FullconvError) and kind.__doc__ for kind in classes.values())


def test_a_mistyped_name_gets_the_nearest_one():
    error = UnknownNameError("backbone", "resnet81", ["resnet18", "vgg16"])
    assert str(error) == "unknown backbone 'resnet81'; did you mean 'resnet18'?"


def test_a_name_like_no_other_gets_the_list_in_order():
    error = UnknownNameError("model", "q", ["fcn8s", "fcn16s"])
    assert str(error) == "unknown model 'q'; expected one of: fcn16s, fcn8s"


def test_known_names_may_be_given_once_only():
    error = UnknownNameError("model", "fcn9s", (name for name in ("fcn8s", "ladder")))
    assert str(error) == "unknown model 'fcn9s'; did you mean 'fcn8s'?"


def test_a_remedy_follows_the_suggestion():
    error = UnknownNameError("model", "q", ["fcn8s"], "(see `fullconv models`)")
    assert str(error) == "unknown model 'q'; expected one of: fcn8s (see `fullconv models`)"


def test_a_message_is_one_line():
    many = [f"backbone_{index}" for index in range(1000)]
    message = str(UnknownNameError("backbone", "?", many))
    assert "\n" not in message
    assert len(message) < 300
