"""Who is who among the demo people: a seed is a person."""

from __future__ import annotations

PUBLIC_SEEDS = range(1000, 2000)
"""Whom stage 0 is trained on."""
HELD_OUT_SEEDS = range(2000, 2010)
"""Whom nothing is trained on."""
PRIVATE_SEEDS = range(3000, 3008)
"""The clients."""
