"""Geometry by watching: each kind of layer, and what ends it."""

from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fullconv.ops.geometry import Window
from fullconv.ops.tracing import evaluating, place_of, trace, trace_steps


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


def test_steps_are_what_moves_things():
    net = nn.Sequential(
        nn.ZeroPad2d(2), nn.Conv2d(3, 4, 5), nn.ReLU(inplace=True), nn.BatchNorm2d(4), nn.AvgPool2d(2),
        Apply(lambda x: x[:, :, 1:]), nn.ConvTranspose2d(4, 6, 4, 2, 1, groups=2),
    )  # fmt: skip
    output, steps = trace_steps(net, (21, 34))
    assert [(step.name, step.kind, step.channels, step.size_hw) for step in steps] == [
        ("0", "pad", 3, (25, 38)),
        ("1", "conv2d", 4, (21, 34)),
        ("4", "avg_pool2d", 4, (10, 17)),
        ("5", "crop", 4, (9, 17)),
        ("6", "conv_transpose2d", 6, (18, 34)),
    ]
    assert output.shape == net(torch.zeros(1, 3, 21, 34)).shape
    assert steps[0].window_hw is None
    assert steps[1].window_hw == (Window(5), Window(5))
    assert steps[4].window_hw == (Window(4, 2, 1, transposed=True),) * 2
    assert [float(step.place.rows.offset) for step in steps] == [-2, 0, 0.5, 2.5, 2]
    assert [float(step.place.columns.offset) for step in steps] == [-2, 0, 0.5, 0.5, 0]


def test_steps_of_branches_are_all_listed():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.narrow = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(3, 4, 1, 2)

        def forward(self, x):
            return F.max_pool2d(self.wide(x) + self.narrow(x), 2)

    output, steps = trace_steps(nn.Sequential(Branches()), (9, 9))
    assert [(step.name, step.kind) for step in steps] == [
        ("0.wide", "conv2d"), ("0.narrow", "conv2d"), ("0", "max_pool2d"),
    ]  # fmt: skip
    assert place_of(output) == steps[-1].place


kernels = st.builds(
    lambda kind, kernel, stride, padding, dilation: (kind, kernel, stride, min(padding, kernel // 2), dilation),
    st.sampled_from([nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d, nn.AvgPool2d]),
    st.integers(1, 5), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2),
)  # fmt: skip


@given(st.lists(kernels, min_size=1, max_size=4), st.integers(20, 40), st.integers(20, 40))
def test_what_is_not_computed_has_the_right_size_and_place(drawn, height, width):
    layers = []
    for kind, kernel, stride, padding, dilation in drawn:
        if kind in (nn.Conv2d, nn.ConvTranspose2d):
            layers.append(kind(2 if layers else 3, 2, kernel, stride, padding, dilation=dilation))
        elif kind is nn.MaxPool2d:
            layers.append(kind(kernel, stride, padding, ceil_mode=True))
        else:
            layers.append(kind(kernel, stride, padding))
        if isinstance(layers[-1], nn.MaxPool2d | nn.AvgPool2d) and len(layers) == 1:
            layers.insert(0, nn.Conv2d(3, 2, 1))
    net = nn.Sequential(*layers)
    try:
        computed, _ = trace(net, (height, width))
    except RuntimeError:  # a window that does not fit
        with pytest.raises((ValueError, RuntimeError)):
            trace_steps(net, (height, width))
        return
    output, _ = trace_steps(net, (height, width))
    assert output.shape == computed.shape
    assert place_of(output) == place_of(computed)


def test_nothing_is_left_in_the_module_after_steps():
    net = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Dropout())
    trace_steps(net, (16, 16), channels=4)
    assert net[1].training
    assert not any(child._forward_hooks or child._forward_pre_hooks for child in net.modules())
