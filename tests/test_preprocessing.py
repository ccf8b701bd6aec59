"""Pictures of any number of channels are normalised as their numbers say."""

import numpy as np
import pytest
import torch

from fullconv.errors import DataError
from fullconv.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing


@pytest.mark.parametrize("channels", [1, 3, 4, 6])
def test_each_channel_by_its_own_mean_and_deviation(channels):
    rng = np.random.default_rng(channels)
    mean, std = rng.uniform(0.2, 0.8, channels), rng.uniform(0.1, 0.4, channels)
    pictures = rng.integers(0, 256, (2, channels, 5, 7), np.uint8)
    got = Preprocessing(tuple(mean.tolist()), tuple(std.tolist()))(torch.from_numpy(pictures))
    expected = (pictures / 255 - mean[:, None, None]) / std[:, None, None]
    assert got.dtype == torch.float32
    assert got.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-5)


def test_extra_channels_stand_behind_imagenets_three():
    preprocessing = Preprocessing.with_extra(3)
    assert preprocessing.mean == (*IMAGENET_MEAN, 0.5, 0.5, 0.5)
    assert preprocessing.std == (*IMAGENET_STD, 0.25, 0.25, 0.25)
    assert preprocessing.num_channels == 6
    assert Preprocessing.with_extra(0) == Preprocessing()
    ends = Preprocessing.with_extra(1)(torch.tensor([0, 255], dtype=torch.uint8).expand(1, 4, 1, 2))
    assert ends[0, 3, 0].tolist() == pytest.approx([-2, 2])


def test_red_green_and_blue_do_not_depend_on_the_extra_channels():
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 4, 6, 5), np.uint8))
    assert torch.equal(Preprocessing.with_extra(1)(pictures)[:, :3], Preprocessing()(pictures[:, :3]))


def test_pictures_of_another_number_of_channels_are_refused():
    with pytest.raises(DataError) as caught:
        Preprocessing.with_extra(1)(torch.zeros(1, 3, 2, 2, dtype=torch.uint8))
    assert str(caught.value) == (
        "got pictures of 3 channels; expected 4: red, green, blue and 1 more, such as depth; give the model the kind of "
        "data it was trained on"
    )
    with pytest.raises(DataError, match="got pictures of 4 channels; expected 3: red, green, blue; give"):
        Preprocessing()(torch.zeros(1, 4, 2, 2, dtype=torch.uint8))
    with pytest.raises(DataError, match="got 4 means and 3 deviations; expected one of each per channel"):
        Preprocessing(mean=(0.5,) * 4)
