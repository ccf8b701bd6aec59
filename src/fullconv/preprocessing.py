"""What a picture goes through before the network sees it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fullconv.errors import DataError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
EXTRA_MEAN, EXTRA_STD = 0.5, 0.25
"""Of extra channels, such as depth: constants, measured on no data; they bring 0..1 to -2..2, about what RGB becomes."""


@dataclass(frozen=True)
class Preprocessing:
    """Normalisation of pictures; it travels with the weights.

    Attributes:
        mean: subtracted from R, G, B and the extra channels in 0..1.
        std: what the differences are divided by.

    Raises:
        DataError: the two differ in length.
    """

    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std):
            raise DataError(
                f"the preprocessing got {len(self.mean)} means and {len(self.std)} deviations; expected one of "
                "each per channel"
            )

    @property
    def num_channels(self) -> int:
        return len(self.mean)

    @classmethod
    def with_extra(cls, num_extra: int) -> "Preprocessing":
        """ImageNet's for red, green and blue, `EXTRA_MEAN` and `EXTRA_STD` for what comes behind.

        >>> Preprocessing.with_extra(1).mean
        (0.485, 0.456, 0.406, 0.5)
        """
        return cls(IMAGENET_MEAN + (EXTRA_MEAN,) * num_extra, IMAGENET_STD + (EXTRA_STD,) * num_extra)

    def of_picture(self, picture: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
        """One picture, (H, W, C) uint8, as (1, C, H, W) float32."""
        return self(torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None], device)

    def __call__(self, pictures: Tensor, device: torch.device | str = "cpu") -> Tensor:
        """(N, C, H, W) uint8, RGB first, to float32 of the same shape in channels_last order, on `device`.

        Raises:
            DataError: C is not the number of means.

        >>> to_input = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
        >>> to_input(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)).mean().round(decimals=3)
        tensor(2.)
        """
        if pictures.shape[1] != self.num_channels:
            raise DataError(
                f"got pictures of {pictures.shape[1]} channels; expected {self.num_channels}: red, green, blue"
                f"{f' and {self.num_channels - 3} more, such as depth' if self.num_channels > 3 else ''}; "
                "give the model the kind of data it was trained on"
            )
        pictures = pictures.to(device, non_blocking=True)
        mean, std = torch.tensor(self.mean, device=device), torch.tensor(self.std, device=device)
        scale = 1 / (255 * std).view(1, -1, 1, 1)
        shift = -(mean / std).view(1, -1, 1, 1)
        return torch.addcmul(shift, pictures.float(), scale).contiguous(memory_format=torch.channels_last)
