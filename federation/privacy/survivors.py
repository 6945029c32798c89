"""What a released round really cost: its noise is that of the honest clients who were still there at its end."""

from __future__ import annotations

import math

from federation.privacy.accountant import Release
from federation.privacy.cohort_counts import CohortCounts


def effective_release(planned: Release, cohort: CohortCounts, survivors: int) -> Release:
    """Return a round as it is to be charged: at the noise of its survivors, never above the plan.

    All colluders may be among the survivors, so |survivors| - c_max clients are counted on for noise that was
    provisioned for n_min of them. With at least n_min + c_max survivors the plan holds; the protocol refuses a round
    with fewer, and whoever released one anyway is charged for the noise that is missing.

    Raises:
        ValueError: If no honest client need be among the survivors: such a sum must never be formed.
    """
    if not cohort.colluders < survivors <= cohort.clients:
        raise ValueError(
            f"A round needs between {cohort.colluders + 1} and {cohort.clients} survivors, or no honest client's noise "
            f"is in its sum. Got {survivors}. Discard the round."
        )
    share = min(1.0, (survivors - cohort.colluders) / cohort.honest)
    return Release(planned.noise_multiplier * math.sqrt(share), planned.sample_rate, planned.rounds)
