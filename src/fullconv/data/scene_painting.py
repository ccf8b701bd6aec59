"""A sample scene under the brush: land first, then the things on it from far to near."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fullconv.data.scene_things import (
    CLOTH,
    FINE,
    MOODS,
    STONE,
    Mood,
    Points,
    Stamp,
    mix,
    noise,
    paint_ball,
    paint_balloon,
    paint_crate,
    paint_fence,
    paint_tent,
    paint_tree,
    pick,
    shade,
)
from fullconv.labels import IGNORE_INDEX, Color

NEAREST_MM, FARTHEST_MM = 2000, 20_000
"""The distance of the ground at the scene's bottom, and that at which sky and hills are."""

SKY, HORIZONTAL, VERTICAL = range(3)
"""The ids of a scene's geometry."""

SIZE_HW = (144, 192)
"""Height and width of a scene unless said otherwise."""


@dataclass(frozen=True)
class Kind:
    """How the things of one class turn up in scenes.

    Attributes:
        paint: fills a stamp.
        chance: that a scene has any.
        most: the largest number in a scene.
        depth: range; 0 is the horizon, 1 the bottom of the scene. None: in the sky.
        height: range, in pixels of a scene of the usual size.
        aspect: range of width / height.
    """

    paint: Callable[[Stamp, Mood], None]
    chance: float
    most: int
    depth: tuple[float, float] | None
    height: tuple[float, float]
    aspect: tuple[float, float]


CAST = {
    "tree": Kind(paint_tree, 0.85, 2, (0.05, 0.6), (64, 88), (0.68, 0.85)),
    "tent": Kind(paint_tent, 0.80, 1, (0.15, 0.7), (40, 54), (1.3, 1.6)),
    "crate": Kind(paint_crate, 0.80, 2, (0.35, 0.95), (28, 38), (0.95, 1.2)),
    "ball": Kind(paint_ball, 0.82, 2, (0.4, 1.0), (22, 34), (1.0, 1.0)),
    "fence": Kind(paint_fence, 0.80, 1, (0.1, 0.6), (34, 42), (2.2, 3.4)),
    "balloon": Kind(paint_balloon, 0.72, 2, None, (44, 66), (0.68, 0.78)),
}
"""The things by class name; the first has class id 1."""


class Scene:
    """A scene under the brush.

    Lengths are in pixels of the scene; `unit` stands for one pixel of a scene of the usual size.

    Attributes:
        picture: (FINE * W, FINE * H) RGB.
        owners: the same size, mode I: which thing is seen, as its place in `classes`.
        classes: the class id of each thing; the first is the land.
        distances: of each thing, in millimetres; the land's is not used.
        hills: their outlines, on the painting.
    """

    def __init__(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> None:
        self.rng, (self.height, self.width) = rng, size_hw
        self.unit = float(np.sqrt(min(size_hw) / min(SIZE_HW)))
        self.mood = MOODS[rng.integers(len(MOODS))]
        self.light = 1 if rng.random() < 0.5 else -1  # 1: the sun stands on the right
        self.horizon = self.height * rng.uniform(0.4, 0.52)
        self.sun = self.width * (0.5 + 0.36 * self.light), 0.35 * self.horizon
        fine = self.width * FINE, self.height * FINE
        self.picture = Image.fromarray(self._sky_and_ground()).resize(fine, Image.Resampling.NEAREST)
        self.owners, self.classes = Image.new("I", fine), [0]
        self.distances, self.hills = [float(FARTHEST_MM)], list[Points]()

    def _sky_and_ground(self) -> np.ndarray:
        """The backdrop (H, W, 3) uint8: two gradients, the sun's glow, rough ground."""
        mood, unit, size_hw = self.mood, self.unit, (self.height, self.width)
        down, across = np.mgrid[: self.height, : self.width]
        stops = [0, self.horizon, self.horizon + 1, self.height]
        tones = np.array([mood.sky_high, mood.sky_low, mood.ground_far, mood.ground_near])
        backdrop = np.stack([np.interp(down[:, :1], stops, tones[:, channel]) for channel in range(3)], 2)
        ground = 0.06 * noise(self.rng, *size_hw, (5 * unit, 16 * unit))
        ground += 0.06 * noise(self.rng, *size_hw, (1.3, 2.6))
        ground *= np.clip((down - self.horizon) / (self.height - self.horizon), 0, 1) ** 0.5
        rough = 1 + ground + 0.035 * noise(self.rng, *size_hw, (9 * unit, 40 * unit))
        away = ((across - self.sun[0]) ** 2 + (down - self.sun[1]) ** 2) / (38 * unit) ** 2
        lit = backdrop * rough[..., None] + 42 * np.exp(-away)[..., None]
        return np.clip(lit, 0, 255).astype(np.uint8)

    def paint_land(self) -> None:
        """Sun, clouds, hills, path, stones, flowers, grass, birds: all of it background."""
        mood, pen = self.mood, ImageDraw.Draw(self.picture)
        if self.rng.random() < 0.6:
            self._ellipse(pen, *self.sun, 9, 9, mix(mood.sky_low, (255, 250, 228), 0.75))
        for _ in range(self.rng.integers(1, 4)):
            self._paint_cloud()
        self._paint_hill(14, mix(mood.sky_low, shade(mood.ground_far, 0.7), 0.4))
        self._paint_hill(8, mix(mood.sky_low, shade(mood.ground_far, 0.72), 0.72))
        if self.rng.random() < 0.6:
            self._paint_path()
        self._paint_litter(pen)
        self._paint_birds(pen)

    def _ellipse(
        self, pen: ImageDraw.ImageDraw, x: float, y: float, rx: float, ry: float, color: Color | int
    ) -> None:
        """Fills an ellipse about (x, y); its radii are in units."""
        rx, ry = rx * self.unit, ry * self.unit
        pen.ellipse(_fine([(x - rx, y - ry), (x + rx, y + ry)]), fill=color)

    def _paint_cloud(self) -> None:
        """Puffs side by side, cut off level below."""
        rng, unit, veil = self.rng, self.unit, Image.new("L", self.picture.size)
        pen = ImageDraw.Draw(veil)
        x, y = rng.uniform(0, self.width), rng.uniform(0.15, 0.75) * self.horizon
        for step in np.linspace(-1, 1, 5):
            puff = rng.uniform(5, 8) + 4 * (1 - abs(step))
            self._ellipse(pen, x + 19 * step * unit, y - 0.4 * puff * unit, puff, 0.8 * puff, 190)
        pen.rectangle(_fine([(0, y + unit), (self.width, self.height)]), fill=0)
        self.picture.paste(mix(self.mood.sky_low, (255, 255, 255), 0.6), mask=veil)

    def _paint_hill(self, rise: float, color: Color) -> None:
        rng, across = self.rng, np.arange(0, self.width + 4, 3)
        first, second = (rng.uniform(0, 7) + across * rng.uniform(0.02, 0.05) / self.unit for _ in range(2))
        crest = 0.55 + 0.3 * np.sin(first) + 0.2 * np.sin(1.7 * second)
        ridge = np.stack([across, self.horizon - rise * self.unit * crest], 1).tolist()
        ground = self.horizon + 1
        outline = _fine([(0, ground), *ridge, (self.width + 4, ground)])
        self.hills.append(outline)
        ImageDraw.Draw(self.picture).polygon(outline, fill=color)

    def _paint_path(self) -> None:
        rng, near = self.rng, np.linspace(0, 1, 24)
        down = self.horizon + 1 + near * (self.height - self.horizon + 2)
        bend = rng.uniform(0.1, 0.3) * np.sin(rng.uniform(0, 6) + 4.5 * near**0.6)
        middle = self.width * (rng.uniform(0.25, 0.75) + bend * (0.3 + near))
        half = self.unit * (1 + 17 * near**1.3)
        left, right = (np.stack([middle + side * half, down], 1).tolist() for side in (-1, 1))
        veil = Image.new("L", self.picture.size)
        ImageDraw.Draw(veil).polygon(_fine([*left, *right[::-1]]), fill=150)
        self.picture.paste(mix(self.mood.ground_near, (228, 206, 168), 0.7), mask=veil)

    def _paint_litter(self, pen: ImageDraw.ImageDraw) -> None:
        """Stones, flowers and grass, larger towards the front."""
        rng, unit = self.rng, self.unit
        usual = self.width * self.height / (SIZE_HW[0] * SIZE_HW[1] * unit**2)
        for near in np.sort(rng.uniform(0.03, 1, round(46 * usual))).tolist():
            x, y = rng.uniform(0, self.width), self.horizon + near * (self.height - self.horizon)
            size, what = 0.5 + near, rng.random()
            ground = mix(self.mood.ground_far, self.mood.ground_near, near)
            if what < 0.15:
                stone, lit = pick(rng, STONE), 0.8 * self.light
                self._ellipse(pen, x - lit, y + 0.8, 4.6 * size, 2.2 * size, shade(ground, 0.66))
                self._ellipse(pen, x, y - size, 4 * size, 2.8 * size, shade(stone, 0.78))
                self._ellipse(pen, x + lit, y - 1.6 * size, 2.8 * size, 1.7 * size, shade(stone, 1.08))
            elif what < 0.35:
                self._ellipse(pen, x, y, 0.9 * size, 0.8 * size, pick(rng, CLOTH))
            else:
                tone, blade = shade(ground, rng.choice([0.74, 1.16])), size * unit
                for tilt in (-1.4, 0.2, 1.6):
                    line = _fine([(x, y), (x + tilt * blade, y - 3.2 * blade)])
                    pen.line(line, fill=tone, width=FINE - 1)

    def _paint_birds(self, pen: ImageDraw.ImageDraw) -> None:
        rng, color = self.rng, shade(self.mood.sky_high, 0.55)
        for _ in range(rng.integers(0, 4)):
            x, y = rng.uniform(0, self.width), rng.uniform(0.1, 0.7) * self.horizon
            wing = rng.uniform(2, 3.5) * self.unit
            bird = [(x - wing, y - 0.6 * wing), (x, y), (x + wing, y - 0.6 * wing)]
            pen.line(_fine(bird), fill=color, width=FINE)

    def paint_things(self) -> None:
        """Chooses the things and paints them from far to near, each in its own part of the width."""
        rng, chosen = self.rng, []
        for _ in range(max(1, round(self.width / self.unit / SIZE_HW[1]))):
            for name, kind in CAST.items():
                count = rng.integers(1, kind.most + 1) if rng.random() < kind.chance else 0
                chosen += [(rng.uniform(*(kind.depth or (0, 0))), name) for _ in range(count)]
        order = rng.permutation(len(chosen)) + rng.uniform(0.2, 0.8, len(chosen))
        places = (self.width * order / max(1, len(chosen))).tolist()
        for (depth, name), x in sorted(zip(chosen, places, strict=True)):
            self._paint_thing(name, depth, x)

    def _paint_thing(self, name: str, depth: float, x: float) -> None:
        rng, kind = self.rng, CAST[name]
        height = rng.uniform(*kind.height) * self.unit * (0.78 + 0.34 * depth)
        width = height * rng.uniform(*kind.aspect)
        x = float(np.clip(x, 0.35 * width, self.width - 0.35 * width))
        if kind.depth is None:
            base = rng.uniform(min(height, self.horizon), self.horizon)
        else:
            base = self.horizon + (0.08 + 0.88 * depth) * (self.height - self.horizon)
            self._paint_shadow(x, base, width)
        self._put(name, x, base, height, width, depth)
        if name == "crate" and rng.random() < 0.3:  # a smaller one on top
            x += rng.uniform(-0.1, 0.1) * width
            self._put(name, x, base - 0.82 * height, 0.8 * height, 0.8 * width, depth)

    def _paint_shadow(self, x: float, base: float, width: float) -> None:
        half, thick, margin = 0.56 * width, 2 + 0.05 * width, 6
        veil = Image.new("L", (round(2 * half) + 2 * margin, round(2 * thick) + 2 * margin))
        box = (margin, margin, margin + 2 * half, margin + 2 * thick)
        ImageDraw.Draw(veil).ellipse(box, fill=110)
        veil = veil.filter(ImageFilter.GaussianBlur(1.5))
        veil = veil.resize((veil.width * FINE, veil.height * FINE), Image.Resampling.BILINEAR)
        left, top = x - 0.22 * self.light * width - half - margin, base - thick - margin - 1
        corner = round(FINE * left), round(FINE * top)
        self.picture.paste(shade(self.mood.ground_near, 0.25), corner, veil)

    def _put(self, name: str, x: float, base: float, height: float, width: float, depth: float) -> None:
        """Paints a thing that stands at (x, base); what is far is bluish with air."""
        stamp = Stamp(self.rng, height, width, self.light)
        CAST[name].paint(stamp, self.mood)
        air = Image.new("RGB", stamp.picture.size, self.mood.sky_low)
        corner = round(FINE * (x - stamp.width / 2)), round(FINE * (base - stamp.height))
        self.picture.paste(Image.blend(stamp.picture, air, 0.2 * (1 - depth)), corner, stamp.shape)
        self.owners.paste(len(self.classes), corner, stamp.shape)
        self.classes.append(1 + list(CAST).index(name))
        if CAST[name].depth is None:  # the smaller in the sky, the farther
            self.distances.append(12_000 * 55 * self.unit / height)
        else:
            self.distances.append(NEAREST_MM / (0.08 + 0.88 * depth))

    def picture_in_light(self) -> np.ndarray:
        """The picture (H, W, 3) uint8 RGB: reduced, in the colour of the sunlight, with a camera's grain."""
        colors = np.asarray(self.picture.reduce(FINE), np.float32)
        exposure = self.rng.uniform(0.95, 1.15) / 255
        colors = colors * (exposure * np.array(self.mood.sunlight)).astype(np.float32)
        colors += 2.5 * self.rng.standard_normal(colors.shape, np.float32)
        return np.clip(colors, 0, 255).astype(np.uint8)

    def label_map(self) -> np.ndarray:
        """The label map (H, W) uint8: void wherever one of the four neighbours belongs to another thing."""
        ids = np.array(self.classes)[_middle(self.owners)]
        return np.where(self._outlines(), IGNORE_INDEX, ids).astype(np.uint8)

    def geometry(self) -> np.ndarray:
        """Sky, horizontal or vertical, (H, W) uint8; void where it is in the label map.

        Hills and all things are vertical; the ground with what lies on it is horizontal.
        """
        surface = Image.new("L", self.picture.size, HORIZONTAL)
        pen = ImageDraw.Draw(surface)
        pen.rectangle(_fine([(0, 0), (self.width, self.horizon)]), fill=SKY)
        for outline in self.hills:
            pen.polygon(outline, fill=VERTICAL)
        ids = np.where(_middle(self.owners) > 0, VERTICAL, _middle(surface))
        return np.where(self._outlines(), IGNORE_INDEX, ids).astype(np.uint8)

    def depth_mm(self, rng: np.random.Generator) -> np.ndarray:
        """The distance of each pixel in millimetres, (H, W) uint16, with a sensor's noise of one percent.

        A plane for the ground, an upright board for each thing that stands where its foot does.
        """
        down = np.arange(self.height)[:, None] + 0.5 - self.horizon
        ground = NEAREST_MM * (self.height - self.horizon) / np.maximum(down, 1e-9)
        owners = _middle(self.owners)
        exact = np.where(owners > 0, np.array(self.distances)[owners], ground)
        noisy = np.minimum(exact, FARTHEST_MM) * (1 + 0.01 * rng.standard_normal(owners.shape))
        return np.clip(noisy, 0, FARTHEST_MM).astype(np.uint16)

    def _outlines(self) -> np.ndarray:
        """(H, W) bool: pixels one of whose four neighbours belongs to another thing."""
        owners = _middle(self.owners)
        edge = np.zeros(owners.shape, bool)
        for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
            differs = owners[here] != owners[there]
            edge[here] |= differs
            edge[there] |= differs
        return edge


def _middle(painting: Image.Image) -> np.ndarray:
    """The middle sample of each block of FINE x FINE: (H, W)."""
    return np.asarray(painting)[FINE // 2 :: FINE, FINE // 2 :: FINE]


def _fine(points: Points) -> Points:
    """The same points on the painting, FINE times as large."""
    return [(FINE * x, FINE * y) for x, y in points]
