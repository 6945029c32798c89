"""Draws the traits of a demo person from a seed: looks, background and voice."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from datamodules.demo.seeds import PRIVATE_SEEDS
from datamodules.demo.speech import Voice

Colour = tuple[int, int, int]

HAIR_STYLES = ("short", "parted", "fringe", "bob", "long", "curly", "spiky", "bun", "bald")
BEARDS = ("full", "goatee", "moustache", "stubble")
# Nothing outside the mouth is magenta (least of red and blue above green): `mouth.mouth_opening` relies on it.
# fmt: off
SKINS = ((255, 222, 196), (246, 205, 172), (236, 188, 150), (219, 164, 122), (190, 133, 92),
         (152, 101, 68), (118, 76, 52))
HAIRS = ((38, 34, 32), (74, 48, 30), (116, 72, 38), (170, 112, 54), (226, 184, 98), (204, 92, 40),
         (160, 158, 152), (235, 232, 220), (52, 120, 170))
EYES = ((92, 58, 30), (58, 112, 190), (62, 138, 84), (120, 128, 138), (40, 30, 26))
LIPS = ((188, 84, 74), (206, 100, 84), (202, 44, 46), (222, 84, 70))
# fmt: on


@dataclass(frozen=True)
class Client:
    """A private demo person: a folder name, a number of clips, and features that no public person has.

    `low_voice` decides pitch and beard where the name suggests one; None leaves it to the seed.
    """

    name: str
    clips: int
    features: tuple[str, ...]
    low_voice: bool | None = None
    shaky: bool = False


CLIENTS = dict(
    zip(
        PRIVATE_SEEDS,
        (
            Client("alice", 8, ("beanie",), False),
            Client("bela", 5, ("freckles", "cap"), True),
            Client("chen", 3, ("patch",), True),
            Client("dora", 6, ("straw hat",), False),
            Client("emil", 4, ("freckles",), True),
            Client("fatima", 7, ("headphones",), False),
            Client("goran", 5, ("party hat",), True, shaky=True),
            Client("hana", 3, ("patch", "freckles"), False),
        ),
        strict=True,
    )
)


@dataclass(frozen=True)
class Person:
    """Everything that stays the same over a person's clips. Lengths are in units of half the frame."""

    name: str
    seed: int
    features: tuple[str, ...]
    shaky: bool
    voice: Voice
    head: tuple[float, float]
    jaw: float
    skin: Colour
    lips: Colour
    lip_thickness: float
    mouth_width: float
    smile: float
    hair_style: str
    hair: Colour
    eye: Colour
    eye_size: float
    eye_gap: float
    brow_thickness: float
    brow_tilt: float
    nose: float
    glasses: str
    glasses_colour: Colour
    beard: str
    clothes: str
    clothes_colours: tuple[Colour, Colour]
    background: str
    background_colours: tuple[Colour, Colour]


def name_of(seed: int) -> str:
    """Return the folder name of a seed's person: `p1000` for public people, a human name for clients."""
    return CLIENTS[seed].name if seed in CLIENTS else f"p{seed}"


def number_of_clips(seed: int) -> int:
    """Return how many clips the person has unless told otherwise: 2 in public, 3 to 8 for clients."""
    return CLIENTS[seed].clips if seed in CLIENTS else 2


def draw_person(seed: int) -> Person:
    """Draw all traits of a person from the seed; the same seed is the same person for ever."""
    rng = np.random.default_rng((seed, 1))
    client = CLIENTS.get(seed, Client(name_of(seed), 2, ()))
    low_voice = bool(rng.random() < 0.5) if client.low_voice is None else client.low_voice
    beard = str(rng.choice(BEARDS)) if low_voice and rng.random() < 0.55 else ""
    style = str(rng.choice(HAIR_STYLES[:3] + HAIR_STYLES[5:7] + HAIR_STYLES[8:] if low_voice else HAIR_STYLES[:-1]))
    backdrop = _bright(rng, (0.15, 0.5), (0.75, 1.0))
    red, green, blue = blend(backdrop, _bright(rng, (0.2, 0.5), (0.7, 1.0)), 0.45)
    second = (red, max(green, min(red, blue)), blue)
    return Person(
        name=client.name,
        seed=seed,
        features=client.features,
        shaky=client.shaky,
        voice=_draw_voice(rng, low_voice),
        head=(rng.uniform(0.49, 0.58), rng.uniform(0.64, 0.71)),
        jaw=rng.uniform(0.05, 0.32),
        skin=_pick(rng, SKINS),
        lips=LIPS[rng.integers(2)] if low_voice else _pick(rng, LIPS),
        lip_thickness=rng.uniform(0.035, 0.06),
        mouth_width=rng.uniform(0.19, 0.25),
        smile=rng.uniform(0.02, 0.07),
        hair_style=style,
        hair=_pick(rng, HAIRS),
        eye=_pick(rng, EYES),
        eye_size=rng.uniform(0.105, 0.135),
        eye_gap=rng.uniform(0.2, 0.245),
        brow_thickness=rng.uniform(0.025, 0.05),
        brow_tilt=rng.uniform(0.0, 0.035),
        nose=rng.uniform(0.06, 0.1),
        glasses=str(rng.choice(("round", "square"))) if rng.random() < 0.25 and "patch" not in client.features else "",
        glasses_colour=((40, 38, 40), (170, 40, 34), (30, 74, 140))[rng.integers(3)],
        beard=beard,
        clothes=str(rng.choice(("plain", "collar", "striped", "hoodie"))),
        clothes_colours=(_bright(rng, (0.5, 0.85), (0.4, 0.9)), _bright(rng, (0.1, 0.7), (0.6, 1.0))),
        background=str(rng.choice(("plain", "gradient", "stripes", "dots", "hills"))),
        background_colours=(backdrop, second),
    )


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """Mix `share` of the second colour, in [0, 1], into the first."""
    return tuple(int(a + (b - a) * share) for a, b in zip(first, second, strict=True))


def _draw_voice(rng: np.random.Generator, low: bool) -> Voice:
    if low:
        return Voice(pitch=rng.uniform(95, 150), tract=rng.uniform(0.92, 1.03))
    return Voice(pitch=rng.uniform(165, 250), tract=rng.uniform(1.05, 1.2))


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    jitter = rng.uniform(0.95, 1.04)
    return tuple(int(min(255, channel * jitter)) for channel in colours[rng.integers(len(colours))])


def _bright(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
    rgb = colorsys.hsv_to_rgb(rng.uniform(0.0, 0.64), rng.uniform(*saturation), rng.uniform(*value))
    return tuple(int(255 * channel) for channel in rgb)
