"""Geometry by watching: each kind of layer, and what ends it."""

from fractions import Fraction

import pytest
import torch
from torch import nn

from fullconv.ops.tracing import evaluating, place_of, trace


class Apply(nn.Module):
    """A module from a function of its input."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def place(*layers):
    output, _ = trace(nn.Sequential(*layers), (64, 64))
    return place_of(output)


def along_rows(*layers) -> tuple[Fraction, Fraction, Fraction]:
    rows = place(*layers).rows
    return rows.stride, rows.offset, rows.receptive_field


CONV = nn.Conv2d(3, 4, 3, stride=2, padding=1)


@pytest.mark.parametrize(
    ("layers", "want"),
    [
        ([CONV], (2, 0, 3)),
        ([CONV, nn.ReLU(), nn.BatchNorm2d(4), nn.GELU(), nn.Dropout()], (2, 0, 3)),
        ([nn.Conv2d(3, 4, 3, padding="same", dilation=2)], (1, 0, 5)),
        ([nn.Conv2d(3, 4, 4, stride=4, padding="valid")], (4, Fraction(3, 2), 4)),
        ([nn.MaxPool2d(2)], (2, Fraction(1, 2), 2)),
        ([nn.AvgPool2d(3, 2, 1)], (2, 0, 3)),
        ([CONV, nn.ConvTranspose2d(4, 2, 4, 2, 1)], (1, Fraction(-1, 2), 5)),
        ([nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(3, 4, 2, stride=2)], (2, Fraction(-1, 2), 2)),
        ([Apply(lambda x: x[:, :, 1:, 1:])], (1, 1, 1)),
        ([Apply(lambda x: x[..., 1::2, ::2])], (2, 1, 1)),
        ([CONV, Apply(lambda x: x + x.mean((2, 3), keepdim=True))], (2, 0, 3)),
        ([CONV, Apply(lambda x: torch.cat([x, x], 1))], (2, 0, 3)),
        ([CONV, Apply(lambda x: x.view(1, 2, 2, 32, 32).transpose(1, 2).reshape(1, 4, 32, 32))], (2, 0, 3)),
        ([CONV, Apply(lambda x: x.chunk(2, 1)[1])], (2, 0, 3)),
    ],
    ids=range(14),
)  # fmt: skip
def test_layers(layers, want):
    assert along_rows(*layers) == want


def test_rows_and_columns_may_differ():
    found = place(nn.Conv2d(3, 4, (1, 7), stride=(1, 2), padding=(0, 3)))
    assert (found.rows.receptive_field, found.columns.receptive_field) == (1, 7)
    assert (found.rows.stride, found.columns.stride) == (1, 2)


def test_axes_are_followed():
    found = place(CONV, Apply(lambda x: x.permute(0, 2, 3, 1)), nn.Linear(4, 5))
    assert (found.row_axis, found.column_axis, found.rows.stride) == (1, 2, 2)
    turned = place(CONV, Apply(lambda x: x.transpose(2, 3)))
    assert (turned.row_axis, turned.column_axis) == (3, 2)


@pytest.mark.parametrize(
    "end",
    [
        nn.AdaptiveAvgPool2d(32),
        nn.Upsample(scale_factor=2),
        Apply(lambda x: x.reshape(1, 4, 16, 2, 32).permute(0, 1, 3, 2, 4).reshape(1, 8, 16, 32)),
    ],
)
def test_what_has_no_place_is_not_invented(end):
    assert place(CONV, end) is None


def test_branches_are_joined_in_their_middle():
    narrow, wide = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, (2, 1))
    found = place(Apply(lambda x: narrow(x)[:, :, 1:] + wide(x)))
    assert (found.rows.first, found.rows.last) == (0, 1)


def test_the_module_is_left_as_it_was():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    net[1].eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    trace(net, (16, 16))
    assert [net.training, net[1].training, net[2].training] == [True, False, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert not any(child._forward_hooks for child in net.modules())


def test_evaluating_restores_after_an_error():
    net = nn.Dropout()

    def fail():
        with evaluating(net):
            assert not net.training
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert net.training
