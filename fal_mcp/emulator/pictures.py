# pyright: reportUnknownMemberType=false
# Pillow names numpy in its annotations and does not depend on it.
"""Pictures for the emulator: a coast at dusk with a lighthouse, different for every seed, captioned with the prompt."""

import io
import math
import random
import textwrap

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

_SKIES = (
    ((24, 26, 66), (214, 96, 92), (255, 190, 120)),
    ((16, 40, 74), (120, 96, 150), (250, 176, 150)),
    ((12, 46, 60), (70, 130, 140), (244, 208, 150)),
    ((40, 20, 60), (170, 70, 110), (255, 170, 110)),
)
_WARM = (255, 226, 150)
_SMOOTH = 2
"""Shapes are drawn at twice the size and scaled down, which rounds their edges."""

Colour = tuple[int, int, int]


def encoded(text: str, seed: int, width: int, height: int, content_type: str) -> bytes:
    """The picture as a file of this type."""
    target = io.BytesIO()
    image = scene(text, seed, width, height)
    image.save(target, content_type.removeprefix("image/"), quality=88)
    return target.getvalue()


def scene(text: str, seed: int, width: int, height: int, turn: float = 0.12) -> Image.Image:
    """The picture; `turn` is where the lamp points, 0 to 1 once round."""
    chance = random.Random(seed)
    top, middle, glow = chance.choice(_SKIES)
    w, h = width * _SMOOTH, height * _SMOOTH
    horizon = int(h * 0.66)
    image = Image.new("RGB", (w, h))
    image.paste(_gradient((top, middle, glow), w, horizon), (0, 0))
    draw = ImageDraw.Draw(image)
    _stars(draw, chance, w, horizon)
    sun = (int(w * chance.uniform(0.15, 0.4)), int(h * 0.07))
    _sun(draw, sun, horizon, glow)
    image.paste(_gradient((_mix(glow, top, 0.45), _mix(top, (0, 0, 0), 0.3)), w, h - horizon), (0, horizon))
    _reflection(draw, chance, sun, h, horizon, glow)
    for depth in range(3):
        _hill(draw, chance, w, h, horizon, _mix(middle, (12, 14, 34), 0.5 + 0.2 * depth), depth)
    foot = (int(w * chance.uniform(0.62, 0.78)), int(h * 0.74))
    _cliff(draw, chance, w, h, foot)
    x, y = _lighthouse(draw, foot, h)
    # Light has no edges: it is laid over the small picture, for a quarter of the time.
    small = _beam(image.reduce(_SMOOTH), (x // _SMOOTH, y // _SMOOTH), turn)
    _caption(small, text)
    return small


def _gradient(colours: tuple[Colour, ...], width: int, height: int) -> Image.Image:
    column = Image.new("RGB", (1, len(colours)))
    column.putdata(colours)
    return column.resize((1, max(height, 1)), Image.Resampling.BILINEAR).resize((width, max(height, 1)))


def _stars(draw: ImageDraw.ImageDraw, chance: random.Random, w: int, horizon: int) -> None:
    for _ in range(70):
        x, y = chance.uniform(0, w), chance.uniform(0, horizon * 0.5)
        size = chance.choice((1, 1, 2)) * max(w // 1400, 1)
        draw.ellipse((x, y, x + size, y + size), fill=(235, 235, 255))


def _sun(draw: ImageDraw.ImageDraw, sun: tuple[int, int], horizon: int, glow: Colour) -> None:
    x, radius = sun
    draw.ellipse((x - radius, horizon - radius * 1.3, x + radius, horizon + radius * 0.7), fill=_mix(glow, _WARM, 0.7))


def _reflection(
    draw: ImageDraw.ImageDraw, chance: random.Random, sun: tuple[int, int], h: int, horizon: int, glow: Colour
) -> None:
    x, radius = sun
    for row in range(9):
        y = horizon + row * h * 0.02 + h * 0.012
        half = radius * (1.1 - row * 0.08) * chance.uniform(0.6, 1.0)
        draw.rounded_rectangle((x - half, y, x + half, y + h * 0.005), h * 0.002, fill=_mix(glow, _WARM, 0.4))


def _hill(
    draw: ImageDraw.ImageDraw, chance: random.Random, w: int, h: int, horizon: int, fill: Colour, depth: int
) -> None:
    waves = [(chance.uniform(0.6, 2.4), chance.uniform(0, 6.3), chance.uniform(0.3, 1.0)) for _ in range(3)]
    rise, base = h * (0.09 - 0.022 * depth), horizon
    line = [
        (x, base - rise * abs(sum(a * math.sin(f * 6.3 * x / w + p) for f, p, a in waves)) / 1.6)
        for x in range(0, w + 8, 8)
    ]
    draw.polygon([*line, (w, base + h * 0.006), (0, base + h * 0.006)], fill=fill)


def _cliff(draw: ImageDraw.ImageDraw, chance: random.Random, w: int, h: int, foot: tuple[int, int]) -> None:
    x, y = foot
    edge = [(x - w * 0.2, h), (x - w * 0.13, y + h * 0.12), (x - w * 0.09, y + h * 0.015), (x - w * 0.02, y)]
    edge += [(x + w * 0.08, y - h * 0.004 * chance.uniform(0, 3)), (w, y + h * 0.05), (w, h)]
    draw.polygon(edge, fill=(18, 18, 34))


def _lighthouse(draw: ImageDraw.ImageDraw, foot: tuple[int, int], h: int) -> tuple[int, int]:
    """Draw it and say where its lamp is."""
    x, y = foot
    tall, wide = h * 0.34, h * 0.035
    for band in range(6):
        low, high = band / 6, (band + 1) / 6
        left, right = wide * (1 - 0.4 * low), wide * (1 - 0.4 * high)
        fill = (226, 220, 214) if band % 2 == 0 else (176, 52, 56)
        bottom, top = y - tall * low, y - tall * high
        draw.polygon([(x - left, bottom), (x + left, bottom), (x + right, top), (x - right, top)], fill=fill)
    lamp = y - tall - h * 0.022
    draw.rectangle((x - wide * 0.75, y - tall - h * 0.004, x + wide * 0.75, y - tall + h * 0.006), fill=(30, 30, 44))
    draw.rectangle((x - wide * 0.45, lamp - h * 0.018, x + wide * 0.45, y - tall), fill=_WARM)
    roof = lamp - h * 0.018
    draw.polygon([(x - wide * 0.6, roof), (x + wide * 0.6, roof), (x, roof - h * 0.035)], fill=(150, 40, 46))
    for row in (0.2, 0.55):
        draw.rectangle((x - wide * 0.14, y - tall * row - h * 0.02, x + wide * 0.14, y - tall * row), fill=_WARM)
    return int(x), int(lamp)


def _beam(image: Image.Image, lamp: tuple[int, int], turn: float) -> Image.Image:
    w, h = image.size
    x, y = lamp
    reach = w * math.cos(turn * 2 * math.pi)
    # At half the size: blurring is the slowest part.
    light = Image.new("L", (w // 2, h // 2))
    draw = ImageDraw.Draw(light)
    spread = h * (0.05 + 0.08 * abs(reach) / w)
    cone = [(x, y), (x - reach, y - spread - h * 0.06), (x - reach, y + spread - h * 0.06)]
    draw.polygon([(px / 2, py / 2) for px, py in cone], fill=120)
    halo = h * 0.05 / 2
    draw.ellipse((x / 2 - halo, y / 2 - halo, x / 2 + halo, y / 2 + halo), fill=170)
    light = light.filter(ImageFilter.GaussianBlur(max(h // 130, 1))).resize((w, h), Image.Resampling.BILINEAR)
    glow = Image.composite(Image.new("RGB", (w, h), _mix(_WARM, (0, 0, 0), 0.25)), Image.new("RGB", (w, h)), light)
    return ImageChops.screen(image, glow)


def _caption(image: Image.Image, text: str) -> None:
    width, height = image.size
    size = max(height // 34, 9)
    font = ImageFont.load_default(size)
    lines = textwrap.wrap(" ".join(text.split())[:200], max(int(width / size * 1.7), 8))[:2]
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        place = (size, height - (len(lines) - number) * size * 1.35 - size * 0.6)
        draw.text(place, line, font=font, fill=(240, 236, 230), stroke_width=1, stroke_fill=(20, 20, 34))


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (int(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
