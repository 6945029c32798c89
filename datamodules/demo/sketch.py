"""The canvas of a demo person: places points of a turning ellipsoid head and fills shapes there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from datamodules.demo.person import Colour, Person

HEAD_CENTRE = np.array([0.0, -0.06])
ANGLES = np.linspace(0, 2 * np.pi, 49)[:-1]
UNIT_CIRCLE = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


@dataclass(frozen=True)
class Pose:
    """One frame: yaw, pitch, roll in units of 30 degrees, shift in units of half the frame, the rest in [0, 1].

    `sway` moves the whole picture, background too (a shaky camera); it is already part of `shift`.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    blink: float = 0.0
    opening: float = 0.0
    width: float = 0.0
    sway: tuple[float, float] = (0.0, 0.0)


class Sketch:
    """A canvas with the head's pose: places points of the head's surface, in units of half the frame."""

    def __init__(self, image: Image.Image, person: Person, pose: Pose) -> None:
        self.person, self.pose = person, pose
        self.draw = ImageDraw.Draw(image)
        self.half = image.width / 2
        yaw, pitch, roll = (np.deg2rad(30 * angle) for angle in (pose.yaw, pose.pitch, pose.roll))
        self._yaw, self._pitch = (np.cos(yaw), np.sin(yaw)), (np.cos(pitch), np.sin(pitch))
        self._roll = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
        # The head turns about the neck, behind and below its middle.
        self._centre = HEAD_CENTRE + np.array(pose.shift) + 0.07 * np.array([np.sin(yaw), -np.sin(pitch)])
        self._centre[0] += 0.35 * np.sin(roll)

    def on_face(self, points: np.ndarray, at: tuple[float, float] = (0, 0), lift: float = 0.0) -> np.ndarray:
        """Place `(n, 2)` points of the face, seen from the front, after turning the head: features slide over it."""
        points = points + np.array(at)
        width, height = self.person.head
        inside = 1 - (points[:, 0] / width) ** 2 - (points[:, 1] / height) ** 2
        depth = 0.85 * width * np.sqrt(np.maximum(inside, 0)) + lift
        x = points[:, 0] * self._yaw[0] + depth * self._yaw[1]
        depth = depth * self._yaw[0] - points[:, 0] * self._yaw[1]
        y = points[:, 1] * self._pitch[0] - depth * self._pitch[1]
        return self.flat(np.stack([x, y], axis=1))

    def flat(self, points: np.ndarray) -> np.ndarray:
        """Place points that only roll and shift with the head, such as its outline."""
        return points @ self._roll + self._centre

    def fill(self, points: np.ndarray, colour: Colour) -> None:
        """Fill a polygon given in units of half the frame."""
        self.draw.polygon(((points + 1) * self.half).ravel().tolist(), fill=colour)

    def line(self, points: np.ndarray, colour: Colour, width: float) -> None:
        """Draw a line of a width in units of half the frame."""
        pixels = ((points + 1) * self.half).ravel().tolist()
        self.draw.line(pixels, fill=colour, width=max(1, round(width * self.half)), joint="curve")

    def spot(self, x: float, y: float, radius: float | tuple[float, float], colour: Colour, lift: float = 0.0) -> None:
        """Fill an ellipse on the face."""
        self.fill(self.on_face(UNIT_CIRCLE * radius, (x, y), lift), colour)
