"""Writes pld_grid.json: what an independent accountant says of fifty runs. Not a test; the file stands for it.

    python -m venv /path/of/your/own && /path/of/your/own/bin/pip install dp-accounting==0.6.0
    /path/of/your/own/bin/python tests/federation/privacy/make_pld_grid.py

Privacy loss distributions (Doroshenko et al. 2022) share no code with opacus, and no method with its PRV accountant
but the Fourier transform. The noise multipliers are those that spend .1 to 20, rounded to three digits.
"""

from __future__ import annotations

import json
import math
from importlib.metadata import version
from pathlib import Path

from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
from dp_accounting.pld import PLDAccountant

RUNS = (  # sample rate q, rounds T, delta
    (1.0, 1, 1e-5),
    (1.0, 31, 1e-6),
    (0.5, 6, 1e-5),
    (0.5, 200, 1e-7),
    (0.3, 40, 1e-4),
    (0.2, 100, 1e-5),
    (0.1, 10, 1e-8),
    (0.05, 500, 1e-5),
    (0.02, 1000, 1e-6),
    (0.01, 2000, 1e-5),
)
TARGETS = (0.102, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 19.9)
"""Run i is asked at every second of these, from the (i mod 2)-th on."""
INTERVAL = 1e-4
"""Discretisation of the privacy loss in the figures that are kept; values are rounded up to it."""


def spent(z: float, q: float, rounds: int, delta: float, interval: float) -> float:
    """Return epsilon for adding or removing one client."""
    accountant = PLDAccountant(value_discretization_interval=interval)
    accountant.compose(PoissonSampledDpEvent(q, GaussianDpEvent(z)), rounds)
    return accountant.get_epsilon(delta)


def solve(target: float, q: float, rounds: int, delta: float) -> float:
    """Return a noise multiplier of three digits that spends about the target."""
    low, high = 1e-2, 1e3
    while high / low > 1.005:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if spent(middle, q, rounds, delta, target / 1000) > target else (low, middle)
    return float(f"{high:.3g}")


def main() -> None:
    """Compute all points; takes minutes."""
    points = []
    for index, (q, rounds, delta) in enumerate(RUNS):
        for target in TARGETS[index % 2 :: 2]:
            z = solve(target, q, rounds, delta)
            epsilon = spent(z, q, rounds, delta, INTERVAL)
            points.append({"z": z, "q": q, "rounds": rounds, "delta": delta, "epsilon": round(epsilon, 6)})
            print(points[-1], flush=True)
    grid = {
        "package": "dp-accounting",
        "version": version("dp-accounting"),
        "accountant": f"PLDAccountant, add or remove one, discretisation {INTERVAL:g}, rounded up",
        "points": points,
    }
    lines = ",\n".join(f"    {json.dumps(point)}" for point in points)
    head = json.dumps({name: value for name, value in grid.items() if name != "points"}, indent=2)[:-2]
    Path(__file__).with_name("pld_grid.json").write_text(f'{head},\n  "points": [\n{lines}\n  ]\n}}\n')


if __name__ == "__main__":
    main()
