"""Pictures of a network of two inputs: polygons coloured by the affine maps, the output, the target."""

from __future__ import annotations

from colorsys import hsv_to_rgb
from typing import TYPE_CHECKING, Any

import numpy as np

from conslaw.regions.networks_read import Array, Network
from conslaw.regions.plane import Plane, outputs

if TYPE_CHECKING:
    from PIL.Image import Image

PANEL, MARGIN, LINE, TITLE = 320, 10, 18, 24  # pixels
FINER = 2  # times as many while drawing
GRID = 160  # points a side at which the output is evaluated
MOST_OUTLINED = 20_000  # polygons with an outline; more would all be black
STEEP = 0.15  # the gradient at which half of the colour is seen
RED, BLUE, BLACK, WHITE = (200, 30, 30), (30, 60, 220), (0, 0, 0), (255, 255, 255)
HUES = [tuple(int(255 * c) for c in hsv_to_rgb(i / 360, 0.85, 1.0)) for i in range(360)]


class Window:
    """From coordinates in the rectangle to pixels of a panel, y upwards."""

    def __init__(self, low: Array, high: Array) -> None:
        self.low, self.size = low, high - low

    def __call__(self, points: Array, pixels: int) -> Array:
        unit = (points - self.low) / self.size
        unit[..., 1] = 1 - unit[..., 1]
        return np.asarray(unit * pixels)

    def grid(self) -> Array:
        """Centres of the squares of a grid, row by row from above; shape (GRID**2, 2)."""
        steps = (np.arange(GRID) + 0.5) / GRID
        x, y = np.meshgrid(steps, steps[::-1])
        return np.asarray(self.low + np.stack([x.ravel(), y.ravel()], axis=1) * self.size)


def picture(panels: list[Image], title: str, captions: list[list[str]]) -> Image:
    """Panels beside each other, a title above and lines of text under each."""
    from PIL import Image, ImageDraw, ImageFont

    lines = max(map(len, captions))
    width = MARGIN + len(panels) * (PANEL + MARGIN)
    whole = Image.new("RGB", (width, TITLE + PANEL + MARGIN + lines * LINE), WHITE)
    pen = ImageDraw.Draw(whole)
    pen.text((MARGIN, 5), title, fill=BLACK, font=ImageFont.load_default(14))
    for i, (panel, texts) in enumerate(zip(panels, captions, strict=True)):
        left = MARGIN + i * (PANEL + MARGIN)
        whole.paste(panel, (left, TITLE))
        for k, text in enumerate(texts):
            place = (left, TITLE + PANEL + 4 + k * LINE)
            pen.text(place, text, fill=BLACK, font=ImageFont.load_default(13))
    return whole


def polygons(network: Network, output: int, found: Plane, window: Window) -> Image:
    """The hue is the direction of the gradient, its strength how steep, the brightness the output itself."""
    from PIL import Image, ImageDraw

    pixels = PANEL * FINER
    image = Image.new("RGB", (pixels, pixels), WHITE)
    pen = ImageDraw.Draw(image)
    corners = window(found.corners, pixels)
    count = np.diff(found.starts, append=len(corners))
    middle = np.add.reduceat(found.corners, found.starts) / count[:, None]
    colours = _colours(found.gradients, outputs(network, middle)[:, output])
    outline = (70, 70, 70) if len(count) <= MOST_OUTLINED else None
    flat, starts = corners.ravel().tolist(), (2 * found.starts).tolist()
    for start, stop, colour in zip(starts, [*starts[1:], len(flat)], colours, strict=True):
        pen.polygon(flat[start:stop], fill=colour, outline=outline)
    for edge in window(found.level, pixels).reshape(-1, 4).tolist():
        pen.line(edge, fill=BLACK, width=2 * FINER)
    return image.reduce(FINER)


def _colours(gradients: Array, values: Array) -> list[tuple[int, ...]]:
    gradients, values = np.nan_to_num(gradients).clip(-1e100, 1e100), np.nan_to_num(values)
    size = np.hypot(*gradients.T)
    hue = np.array(HUES)[np.degrees(np.arctan2(gradients[:, 1], gradients[:, 0])).astype(int) % 360]
    strength = (size / (size + STEEP))[:, None]
    bright = 0.5 + 0.5 * np.clip(values, 0, 1)[:, None]
    return list(map(tuple, (bright * (255 * (1 - strength) + hue * strength)).astype(int).tolist()))


def output_of(network: Network, output: int, window: Window) -> Image:
    """The output as a shade of grey, 0 black and 1 white."""
    from PIL import Image

    values = np.nan_to_num(outputs(network, window.grid())[:, output]).reshape(GRID, GRID)
    grey = Image.fromarray((255 * np.clip(values, 0, 1)).astype(np.uint8))
    return grey.resize((PANEL, PANEL), Image.Resampling.BILINEAR).convert("RGB")


def shades(target: Array) -> Image:
    """The target, an array of rows from above with numbers from 0 to 1."""
    from PIL import Image

    grey = Image.fromarray((255 * np.clip(target, 0, 1)).astype(np.uint8))
    return grey.resize((PANEL, PANEL), Image.Resampling.BILINEAR).convert("RGB")


def with_points(panel: Image, points: Array, colour: tuple[int, int, int], window: Window) -> None:
    """Draw small points, smaller where there are many."""
    from PIL import ImageDraw

    pen: Any = ImageDraw.Draw(panel)
    places = window(points, PANEL)
    if len(places) > 1_000:
        pen.point(places.ravel().tolist(), fill=colour)
        return
    for x, y in places.tolist():
        pen.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=colour)
