"""Warnings that must not be overlooked."""

from __future__ import annotations

import sys


def shout(text: str) -> None:
    """Print to stderr so that it is not overlooked."""
    print(f"\n*** {text} ***\n", file=sys.stderr, flush=True)
