"""What a picture goes through before the network sees it."""

from dataclasses import dataclass

import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """Normalisation of RGB pictures; it travels with the weights.

    Attributes:
        mean: subtracted from R, G, B in 0..1.
        std: what the difference is divided by.
    """

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __call__(self, pictures: Tensor, device: torch.device | str = "cpu") -> Tensor:
        """(N, 3, H, W) uint8 RGB to float32 of the same shape in channels_last order, on `device`.

        >>> to_input = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
        >>> to_input(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)).mean().round(decimals=3)
        tensor(2.)
        """
        pictures = pictures.to(device, non_blocking=True)
        scale = 1 / (255 * torch.tensor(self.std, device=device)).view(1, 3, 1, 1)
        shift = -(torch.tensor(self.mean, device=device) / torch.tensor(self.std, device=device)).view(
            1, 3, 1, 1
        )
        return torch.addcmul(shift, pictures.float(), scale).contiguous(memory_format=torch.channels_last)
