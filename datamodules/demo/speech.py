"""Speech of the demo people: one random phoneme track drives both the sound and the mouth.

Source and filter after Klatt, "Software for a cascade/parallel formant synthesizer" (1980), much reduced.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter, sosfilt

from datamodules.clips import SAMPLE_RATE

CONTROL_RATE = 200  # values of every control track per second: one block of 5 ms each
BLOCK = SAMPLE_RATE // CONTROL_RATE


@dataclass(frozen=True)
class Voice:
    """Pitch in Hz, and the factor on all formants (a short vocal tract has high ones)."""

    pitch: float
    tract: float


@dataclass(frozen=True)
class Phoneme:
    """Targets of one sound: formants in Hz, loudness of voice and noise, mouth opening [0, 1] and width [-1, 1]."""

    formants: tuple[float, float, float]
    voice: float
    noise: float
    noise_hz: float
    opening: float
    width: float
    seconds: tuple[float, float]


def _vowel(f1: float, f2: float, f3: float, opening: float, width: float) -> Phoneme:
    return Phoneme((f1, f2, f3), 1.0, 0.0, 3000, opening, width, (0.13, 0.26))


VOWELS = {
    "a": _vowel(820, 1250, 2550, 1.0, 0.1),
    "ae": _vowel(730, 1650, 2500, 0.88, 0.4),
    "eh": _vowel(610, 1780, 2550, 0.7, 0.35),
    "aw": _vowel(630, 980, 2450, 0.75, -0.45),
    "o": _vowel(480, 850, 2400, 0.55, -0.8),
    "er": _vowel(500, 1450, 2450, 0.5, 0.0),
    "e": _vowel(430, 2050, 2650, 0.42, 0.6),
    "i": _vowel(290, 2300, 3000, 0.22, 0.9),
    "u": _vowel(310, 750, 2250, 0.2, -1.0),
}
CONSONANTS = {
    "m": Phoneme((250, 1000, 2200), 0.35, 0.0, 3000, 0.0, 0.0, (0.09, 0.13)),
    "n": Phoneme((260, 1600, 2600), 0.35, 0.0, 3000, 0.15, 0.2, (0.06, 0.1)),
    "b": Phoneme((200, 800, 2300), 0.1, 0.0, 3000, 0.0, 0.0, (0.08, 0.12)),
    "p": Phoneme((300, 900, 2300), 0.0, 0.05, 900, 0.0, 0.0, (0.09, 0.13)),
    "d": Phoneme((250, 1700, 2600), 0.12, 0.15, 4200, 0.18, 0.2, (0.05, 0.08)),
    "t": Phoneme((300, 1700, 2600), 0.0, 0.35, 4500, 0.15, 0.2, (0.06, 0.09)),
    "k": Phoneme((300, 1900, 2300), 0.0, 0.3, 1900, 0.22, 0.0, (0.06, 0.09)),
    "s": Phoneme((300, 1700, 2600), 0.0, 0.6, 6200, 0.1, 0.5, (0.08, 0.14)),
    "sh": Phoneme((300, 1800, 2500), 0.0, 0.6, 2900, 0.14, -0.6, (0.08, 0.14)),
    "f": Phoneme((300, 1100, 2300), 0.0, 0.2, 7000, 0.04, 0.1, (0.08, 0.12)),
    "l": Phoneme((350, 1150, 2700), 0.55, 0.0, 3000, 0.3, 0.1, (0.06, 0.09)),
    "r": Phoneme((380, 1100, 1650), 0.55, 0.0, 3000, 0.25, -0.4, (0.06, 0.09)),
    "w": Phoneme((290, 680, 2200), 0.5, 0.0, 3000, 0.1, -1.0, (0.07, 0.1)),
}
PAUSE = Phoneme((500, 1500, 2500), 0.0, 0.0, 3000, 0.0, 0.0, (0.2, 0.5))


@dataclass(frozen=True)
class Articulation:
    """What a mouth does: every control track, and per video frame its opening [0, 1] and width [-1, 1]."""

    controls: dict[str, np.ndarray]
    opening: np.ndarray
    width: np.ndarray


@dataclass(frozen=True)
class Speech:
    """A waveform float32 `(samples,)` in [-1, 1], and per video frame mouth opening [0, 1] and width [-1, 1]."""

    waveform: np.ndarray
    opening: np.ndarray
    width: np.ndarray


def speak(voice: Voice, frames: int, fps: int, rng: np.random.Generator) -> Speech:
    """Utter random syllables for `frames` video frames; frame k shows the mouth at its middle, (k + 1/2) / fps."""
    spoken = articulate(frames, fps, rng)
    waveform = _synthesise(voice, spoken.controls, rng)[: round(frames / fps * SAMPLE_RATE)]
    return Speech(waveform, spoken.opening, spoken.width)


def articulate(frames: int, fps: int, rng: np.random.Generator) -> Articulation:
    """Move the mouth as `speak` does with the same randomness, and makes no sound."""
    seconds = frames / fps
    blocks = int(np.ceil(seconds * CONTROL_RATE))
    controls = _controls(_phonemes(seconds, rng), blocks, rng)
    middles = ((np.arange(frames) + 0.5) / fps) * CONTROL_RATE - 0.5
    grid = np.arange(blocks)
    opening = np.interp(middles, grid, controls["opening"]).clip(0, 1).astype(np.float32)
    width = np.interp(middles, grid, controls["width"]).clip(-1, 1).astype(np.float32)
    return Articulation(controls, opening, width)


def _phonemes(seconds: float, rng: np.random.Generator) -> list[tuple[Phoneme, float]]:
    """Draw phrases of 4 to 9 consonant-vowel syllables, some closed by a consonant, with pauses between them."""
    track: list[tuple[Phoneme, float]] = [(PAUSE, rng.uniform(0.05, 0.3))]
    vowels, consonants = list(VOWELS.values()), list(CONSONANTS.values())
    lips = [CONSONANTS[name] for name in ("m", "b", "p")]
    total = 0.0
    while total < seconds:
        tempo = rng.uniform(0.85, 1.15)
        for _ in range(rng.integers(4, 10)):
            onset = lips[rng.integers(3)] if rng.random() < 0.25 else consonants[rng.integers(len(consonants))]
            syllable = [onset, vowels[rng.integers(len(vowels))]]
            if rng.random() < 0.25:
                syllable.append(consonants[rng.integers(len(consonants))])
            track += [(phoneme, rng.uniform(*phoneme.seconds) * tempo) for phoneme in syllable]
        track.append((PAUSE, rng.uniform(*PAUSE.seconds)))
        total = sum(length for _, length in track)
    return track


def _controls(track: list[tuple[Phoneme, float]], blocks: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return steps of the phonemes' targets, smoothed: neighbouring sounds run into each other as in real speech."""
    ends = np.cumsum([length for _, length in track]) * CONTROL_RATE
    index = np.minimum(np.searchsorted(ends, np.arange(blocks), side="right"), len(track) - 1)

    def smooth(values: list[float], milliseconds: float) -> np.ndarray:
        return gaussian_filter1d(np.asarray(values, dtype=np.float64)[index], milliseconds * CONTROL_RATE / 1000)

    phonemes = [phoneme for phoneme, _ in track]
    # Stress makes a syllable louder and its mouth larger at once, so that the opening can be heard.
    stress = gaussian_filter1d(rng.uniform(0.75, 1.0, len(track)), 0.7)
    return {
        "f1": smooth([p.formants[0] for p in phonemes], 18),
        "f2": smooth([p.formants[1] for p in phonemes], 18),
        "f3": smooth([p.formants[2] for p in phonemes], 18),
        "voice": smooth([p.voice * s**2 for p, s in zip(phonemes, stress, strict=True)], 10),
        "noise": smooth([p.noise for p in phonemes], 8),
        "noise_hz": smooth([p.noise_hz for p in phonemes], 5),
        "opening": smooth([p.opening * s for p, s in zip(phonemes, stress, strict=True)], 22),
        "width": smooth([p.width for p in phonemes], 28),
    }


def _resonators(hertz: np.ndarray, bandwidth: np.ndarray) -> np.ndarray:
    """Return second-order sections `(..., 6)` with unit gain at 0 Hz (Klatt 1980, equation 2)."""
    radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
    b = 2 * radius * np.cos(2 * np.pi * hertz / SAMPLE_RATE)
    c = -(radius**2)
    zero, one = np.zeros_like(b), np.ones_like(b)
    return np.stack([1 - b - c, zero, zero, one, -b, -c], axis=-1)


def _synthesise(voice: Voice, controls: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    blocks = len(controls["f1"])
    melody = gaussian_filter1d(rng.standard_normal(blocks), 40)
    pitch = voice.pitch * (1 + 0.12 * melody / (np.abs(melody).max() + 1e-9))
    phase = np.cumsum(np.repeat(pitch, BLOCK)) / SAMPLE_RATE
    pulses = np.diff(np.floor(phase), prepend=0.0)
    source = lfilter([1.0, -1.0], [1.0, -1.8, 0.81], pulses)
    source *= _upsample(controls["voice"]) / (np.abs(source).max() + 1e-9)
    hiss = rng.standard_normal(blocks * BLOCK)
    formants = np.stack([controls["f1"], controls["f2"], controls["f3"], np.full(blocks, 3500.0)], axis=1) * voice.tract
    voiced = _filter(source + 0.002 * hiss * _upsample(controls["voice"]), _resonators(formants, 60 + 0.04 * formants))
    centre = np.minimum(controls["noise_hz"][:, None] * voice.tract, 7400)
    band = _resonators(centre, 0.25 * centre)
    band[..., 1], band[..., 0] = -band[..., 0], band[..., 0].copy()
    hissed = _filter(hiss * _upsample(controls["noise"]), band)
    mixed = voiced / (_loud(voiced)) + 0.35 * hissed / _loud(hissed)
    mixed = 0.12 * mixed + 0.0005 * rng.standard_normal(len(mixed))
    return np.tanh(mixed).astype(np.float32)


def _filter(signal: np.ndarray, sections: np.ndarray) -> np.ndarray:
    state = np.zeros((sections.shape[1], 2))
    out = np.empty_like(signal)
    for block, sos in enumerate(sections):
        part = slice(block * BLOCK, (block + 1) * BLOCK)
        out[part], state = sosfilt(sos, signal[part], zi=state)
    return out


def _upsample(track: np.ndarray) -> np.ndarray:
    positions = (np.arange(len(track) * BLOCK) + 0.5) / BLOCK - 0.5
    return np.interp(positions, np.arange(len(track)), track)


def _loud(signal: np.ndarray) -> float:
    """Return the root mean square of the louder half: pauses must not make a clip louder."""
    power = np.sort(signal**2)[len(signal) // 2 :]
    return float(np.sqrt(power.mean()) + 1e-9)
