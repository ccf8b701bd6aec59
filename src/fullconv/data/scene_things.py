"""The things in a sample scene: tree, tent, crate, ball, fence, balloon; and the colours that they share."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from fullconv.labels import Color

FINE = 3
"""Painting pixels per picture pixel, each way."""

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Mood:
    """The colours of a time of day."""

    sky_high: Color
    sky_low: Color
    ground_far: Color
    ground_near: Color
    sunlight: Color
    leaves: tuple[Color, ...]


MOODS = (
    Mood((92, 158, 214), (206, 230, 240), (150, 184, 112), (92, 142, 74), (255, 252, 244),
          ((84, 140, 72), (112, 158, 70), (236, 172, 188), (60, 112, 84))),
    Mood((120, 176, 206), (242, 228, 200), (190, 192, 122), (138, 152, 84), (255, 246, 226),
          ((104, 142, 66), (150, 168, 80), (72, 118, 78), (214, 178, 84))),
    Mood((112, 128, 178), (250, 196, 142), (202, 160, 100), (150, 112, 74), (255, 226, 190),
          ((196, 116, 56), (216, 156, 66), (168, 74, 58), (112, 118, 66))),
    Mood((74, 82, 138), (226, 158, 168), (128, 124, 132), (84, 96, 98), (232, 218, 248),
          ((70, 104, 98), (104, 92, 130), (92, 122, 92), (170, 110, 128))),
    Mood((150, 170, 188), (216, 222, 224), (206, 198, 164), (168, 160, 124), (240, 244, 250),
          ((96, 124, 84), (130, 140, 88), (76, 106, 92), (178, 148, 84))),
    Mood((128, 172, 214), (232, 238, 246), (236, 240, 246), (206, 218, 232), (246, 250, 255),
          ((72, 112, 104), (96, 128, 112), (58, 96, 92), (168, 132, 96))),
)  # fmt: skip
CLOTH: tuple[Color, ...] = (
    (206, 78, 66), (232, 148, 66), (240, 202, 96), (108, 160, 92), (70, 140, 150),
    (82, 120, 184), (150, 108, 168), (222, 140, 156), (242, 236, 222),
)  # fmt: skip
WOOD: tuple[Color, ...] = (
    (170, 122, 78), (142, 100, 68), (196, 154, 104), (118, 92, 74), (232, 226, 212), (104, 128, 140),
)  # fmt: skip
STONE: tuple[Color, ...] = ((150, 148, 146), (122, 122, 128), (176, 168, 156))


def mix(first: Color, second: Color, share: float) -> Color:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def shade(color: Color, factor: float) -> Color:
    red, green, blue = (min(255, round(value * factor)) for value in color)
    return red, green, blue


def pick(rng: np.random.Generator, colors: tuple[Color, ...]) -> Color:
    return colors[rng.integers(len(colors))]


def noise(rng: np.random.Generator, height: int, width: int, cell_hw: tuple[float, float]) -> np.ndarray:
    """Smooth noise (H, W) float32, mean 0, deviation about 0.7, with bumps of `cell_hw` pixels."""
    grid = rng.standard_normal((int(height / cell_hw[0]) + 2, int(width / cell_hw[1]) + 2), np.float32)
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))


class Stamp:
    """One thing painted by itself, FINE times its size: its colours, and the shape that hides what is behind.

    Points are fractions of the stamp's (width, height), from its top left corner.

    Attributes:
        picture: (FINE * width, FINE * height) RGB.
        shape: the same size, L: 255 where the thing is, 0 elsewhere.
        light: 1 with the sun on the right, -1 with the sun on the left.
        mirrored: polygons are turned left to right from here on.
    """

    def __init__(self, rng: np.random.Generator, height: float, width: float, light: int) -> None:
        self.rng, self.light, self.mirrored = rng, light, False
        self.height, self.width = max(4, round(height)), max(4, round(width))
        size = (self.width * FINE, self.height * FINE)
        self.picture, self.shape = Image.new("RGB", size), Image.new("L", size)

    def solid(self, points: Points, color: Color) -> None:
        """Paints a polygon that belongs to the thing's shape."""
        self.mark(points, color)
        ImageDraw.Draw(self.shape).polygon(self._corners(points), fill=255)

    def mark(self, points: Points, color: Color) -> None:
        """Paints a polygon on what is there; the shape stays as it is."""
        ImageDraw.Draw(self.picture).polygon(self._corners(points), fill=color)

    def _corners(self, points: Points) -> Points:
        across, down = self.picture.width - 1, self.picture.height - 1
        return [(across * (1 - x if self.mirrored else x), down * y) for x, y in points]

    def disc(self, x: float, y: float, radius: float, color: Color, solid: bool = True) -> None:
        """Paints a circle; `radius` is a fraction of the width."""
        across, down = x * (self.picture.width - 1), y * (self.picture.height - 1)
        reach = radius * self.picture.width
        box = (across - reach, down - reach, across + reach, down + reach)
        ImageDraw.Draw(self.picture).ellipse(box, fill=color)
        if solid:
            ImageDraw.Draw(self.shape).ellipse(box, fill=255)

    def texture(self, strength: float, cell_hw: tuple[float, float]) -> None:
        """Roughens the colours, and lights them from the sun's side and from above."""
        rough = 1 + strength * noise(self.rng, self.height, self.width, cell_hw)
        rough += self.light * np.linspace(-0.12, 0.12, self.width, dtype=np.float32)
        rough += np.linspace(0.06, -0.10, self.height, dtype=np.float32)[:, None]
        self._multiply(np.repeat(np.repeat(rough, FINE, 0), FINE, 1))

    def roundness(self, x: float, y: float, radius: float, strength: float) -> None:
        """Shades the stamp as the sphere with that centre and radius (a fraction of the width)."""
        down, across = np.ogrid[: self.picture.height, : self.picture.width]
        normal_x = (across / self.picture.width - x) / radius
        normal_y = (down - y * self.picture.height) / (radius * self.picture.width)
        normal_z = np.sqrt(np.maximum(0, 1 - normal_x**2 - normal_y**2))
        facing = np.maximum(0, 0.5 * self.light * normal_x - 0.6 * normal_y + 0.62 * normal_z)
        self._multiply(1 + strength * (1.15 * facing - 0.85) + 0.5 * strength * facing**24)

    def _multiply(self, factor: np.ndarray) -> None:
        colors = np.asarray(self.picture) * factor.astype(np.float32)[..., None]
        self.picture = Image.fromarray(np.clip(colors, 0, 255, out=colors).astype(np.uint8))


def paint_tree(stamp: Stamp, mood: Mood) -> None:
    leaf, bark = pick(stamp.rng, mood.leaves), shade(pick(stamp.rng, WOOD[:4]), 0.75)
    if stamp.rng.random() < 0.35:
        _paint_fir(stamp, mix(leaf, (58, 96, 84), 0.65), bark)
    else:
        _paint_crown(stamp, leaf, bark)
    stamp.texture(0.11, (1.7, 1.9))


def _paint_fir(stamp: Stamp, leaf: Color, bark: Color) -> None:
    stamp.solid(_bar(0.43, 0.8, 0.57, 1), bark)
    for top in (0.5, 0.28, 0.0):
        half, low, tone = 0.22 + 0.5 * top, top + 0.38, 0.2 * (0.5 - top)
        skirt = [(0.5, top), (0.5 + half, low), (0.5, low - 0.03), (0.5 - half, low)]
        stamp.solid(skirt, shade(leaf, 0.72 + tone))
        sunny = [(0.5, top), (0.5 + half * stamp.light, low), (0.5, low - 0.03)]
        stamp.mark(sunny, shade(leaf, 1 + tone))


def _paint_crown(stamp: Stamp, leaf: Color, bark: Color) -> None:
    stamp.solid([(0.45, 0.5), (0.55, 0.5), (0.58, 1), (0.42, 1)], bark)
    angles = np.arange(8) * (np.pi / 4) + stamp.rng.uniform(0, 1)
    reach = stamp.rng.uniform(0.2, 0.28, 8)
    puffs = np.stack([0.5 + reach * np.cos(angles), 0.34 + 0.75 * reach * np.sin(angles)], 1)
    for tone, radius, shift in ((0.68, 0.215, 0.0), (0.88, 0.175, 0.5), (1.08, 0.11, 1.1)):
        for x, y in [(0.5, 0.34), *puffs.tolist()]:
            lit_x, lit_y = x + 0.06 * stamp.light * shift, y - 0.05 * shift
            stamp.disc(lit_x, lit_y, radius, shade(leaf, tone), solid=shift == 0)


def paint_tent(stamp: Stamp, mood: Mood) -> None:
    rng = stamp.rng
    cloth, stripe, stamp.mirrored = pick(rng, CLOTH), pick(rng, CLOTH), rng.random() < 0.5
    sunny_roof = stamp.mirrored == (stamp.light < 0)
    roof_tone, front_tone = (1.0, 0.8) if sunny_roof else (0.82, 1.0)
    ridge, gutter = np.array([(0.3, 0.03), (0.8, 0.0)]), np.array([(0.58, 1.0), (1.0, 0.9)])
    stamp.solid([*ridge.tolist(), *gutter[::-1].tolist()], shade(cloth, roof_tone))
    bands = int(rng.choice([0, 3, 4, 5]))
    for band in range(bands):
        ends = np.array([[band + 0.25], [band + 0.75]]) / bands
        top, low = ridge[0] + ends * (ridge[1] - ridge[0]), gutter[0] + ends * (gutter[1] - gutter[0])
        stamp.mark([*top.tolist(), *low[::-1].tolist()], shade(stripe, roof_tone))
    stamp.solid([(0.3, 0.03), (0.58, 1), (0.02, 0.97)], shade(cloth, front_tone))
    stamp.mark([(0.3, 0.3), (0.42, 1), (0.17, 0.98)], shade(mix(cloth, (40, 36, 48), 0.75), 0.8))
    stamp.mark([(0.3, 0.3), (0.2, 0.98), (0.11, 0.98)], shade(cloth, front_tone * 1.14))
    stamp.texture(0.05, (5, 3))


def paint_crate(stamp: Stamp, mood: Mood) -> None:
    rng = stamp.rng
    wood = pick(rng, CLOTH) if rng.random() < 0.3 else pick(rng, WOOD)
    stamp.mirrored = rng.random() < 0.5
    sunny_side = stamp.mirrored == (stamp.light < 0)
    side_tone, front_tone = (0.9, 0.84) if sunny_side else (0.6, 0.96)
    stamp.solid([(0, 0.16), (0.2, 0), (1, 0), (0.8, 0.16)], shade(wood, 1.18))
    stamp.solid([(0.8, 0.16), (1, 0), (1, 0.84), (0.8, 1)], shade(wood, side_tone))
    stamp.solid(_bar(0, 0.16, 0.8, 1), shade(wood, front_tone * 0.86))
    gap, frame = shade(wood, front_tone * 0.5), shade(wood, front_tone * 1.08)
    for y in (0.37, 0.58, 0.79):
        stamp.mark(_bar(0, y - 0.02, 0.8, y + 0.02), gap)
        stamp.mark([(0.8, y - 0.02), (1, y - 0.18), (1, y - 0.14), (0.8, y + 0.02)], shade(gap, 0.9))
    stamp.mark([(0.02, 0.9), (0.68, 0.18), (0.79, 0.26), (0.12, 0.98)], gap)
    stamp.mark([(0.04, 0.9), (0.68, 0.2), (0.77, 0.26), (0.12, 0.96)], frame)
    for edge in ((0, 0.16, 0.8, 0.26), (0, 0.9, 0.8, 1), (0, 0.16, 0.1, 1), (0.7, 0.16, 0.8, 1)):
        stamp.mark(_bar(*edge), frame)
    stamp.texture(0.09, (1.5, 9))


def paint_ball(stamp: Stamp, mood: Mood) -> None:
    rng = stamp.rng
    first, second, third = (CLOTH[i] for i in rng.permutation(len(CLOTH))[:3])
    stamp.disc(0.5, 0.5, 0.5, first)
    turn, pattern = rng.uniform(0, 2 * np.pi), rng.random()
    along = np.array([np.cos(turn), np.sin(turn)])
    if pattern < 0.6:  # a beach ball: six wedges that meet at a cap
        x, y = 0.5 + 0.2 * along
        for wedge in range(6):
            rim = turn + np.array([wedge, wedge + 0.5, wedge + 1]) * (np.pi / 3)
            wide = np.stack([x + np.cos(rim), y + np.sin(rim)], 1)
            stamp.mark([(x, y), *wide.tolist()], (first, second, third)[wedge % 3])
        stamp.disc(x, y, 0.09, shade(first, 1.15), solid=False)
    elif pattern < 0.85:  # a belt
        over = along[::-1] * (-1, 1)
        for half, color in ((0.2, second), (0.1, third)):
            corners = [0.5 + s * along + half * t * over for s, t in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            stamp.mark(np.array(corners).tolist(), color)
    stamp.roundness(0.5, 0.5, 0.5, strength=0.62)


def paint_fence(stamp: Stamp, mood: Mood) -> None:
    wood, slope = pick(stamp.rng, WOOD), stamp.rng.uniform(-0.1, 0.1)
    posts = max(3, round(stamp.width / stamp.height / 0.8) + 1)
    half_post, half_rail = 2.7 / stamp.width, 3.1 / stamp.height
    for middle, tone in ((0.38, 0.95), (0.7, 0.85)):
        left, right = middle + slope, middle - slope
        upper, lower = [(0.01, left - half_rail), (0.99, right - half_rail)], [(0.99, right), (0.01, left)]
        stamp.solid([*upper, *((x, y + half_rail) for x, y in lower)], shade(wood, tone))
    for x in np.linspace(half_post, 1 - half_post, posts).tolist():
        top, low = (end + slope * (1 - 2 * x) for end in (0.13, 0.88))
        left, right, shadow = x - half_post, x + half_post, x - stamp.light * half_post
        stamp.solid(
            [(left, top), (x, top - 0.04), (right, top), (right, low), (left, low)], shade(wood, 1.04)
        )
        stamp.mark(_bar(x, top, shadow, low), shade(wood, 0.82))
    stamp.texture(0.08, (6, 1.5))


def paint_balloon(stamp: Stamp, mood: Mood) -> None:
    rng = stamp.rng
    first, second = (CLOTH[i] for i in rng.permutation(len(CLOTH))[:2])
    middle = 0.5 * stamp.width / stamp.height
    angles = np.linspace(np.pi * 0.86, np.pi * 2.14, 28)
    across = np.append(0.5 * np.cos(angles), [0.13, -0.13])
    down = np.append(middle * (1 + np.sin(angles)), [0.78, 0.78])
    gores = (1.0, 0.78, 0.5, 0.17) if rng.random() < 0.7 else (1.0, 0.6, 0.2)
    for step, share in enumerate(gores):
        paint = stamp.mark if step else stamp.solid
        paint(np.stack([0.5 + share * across, down], 1).tolist(), (first, second)[step % 2])
    if rng.random() < 0.4:
        stamp.mark(_bar(0, middle * 0.9, 1, middle * 1.25), mix(second, (255, 255, 255), 0.5))
    stamp.roundness(0.5, middle, 0.54, strength=0.5)
    for top, low in ((0.39, 0.412), (0.61, 0.588)):
        rope = [(top - 0.02, 0.76), (top + 0.02, 0.76), (low + 0.02, 0.88), (low - 0.02, 0.88)]
        stamp.solid(rope, (84, 66, 54))
    stamp.solid(_bar(0.39, 0.87, 0.61, 1), (150, 108, 70))
    stamp.mark(_bar(0.39, 0.87, 0.61, 0.9), (108, 76, 52))


def _bar(left: float, top: float, right: float, bottom: float) -> Points:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]
