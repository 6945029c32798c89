"""Secrets from their shares, checked against what their owners advertised; wrong shares are found and named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from federation.key_stream import KeyStream
from federation.secure_aggregation.errors import ShareError, TooFewClientsError
from federation.secure_aggregation.framing import INDEX, digest
from federation.secure_aggregation.shamir import PRIME, combine, lagrange_weights

MOST_TRIES = 256
"""Subsets of shares that are tried for one secret. One wrong share among more than t is always found."""
SUBSET = b"PrivFedTalk subset of shares v1"


class SecretRecovery:
    """Gives back secrets; the weights of a set of holders are computed once, as most owners have the same holders.

    Args:
        threshold: t.
    """

    def __init__(self, threshold: int) -> None:
        self.threshold = threshold
        self.culprits: set[int] = set()
        """Clients whose shares did not fit: they sent wrong ones, or were dealt them by the owner."""
        self._weights: dict[tuple[int, ...], list[int]] = {}

    def recover(self, owner: int, shares: Mapping[int, int], fits: Callable[[bytes], bool]) -> bytes:
        """Return an owner's secret.

        Args:
            owner: For the error's text.
            shares: By holder; the point of a share is the holder's index plus one.
            fits: Whether a secret is the one that was committed to.

        Raises:
            TooFewClientsError: If there are fewer than t shares.
            ShareError: If no subset that was tried fits.
        """
        if len(shares) < self.threshold:
            raise TooFewClientsError(
                f"{self.threshold} shares open a secret of client {owner}. Got {len(shares)}: too many clients left."
            )
        for tried, holders in enumerate(self._subsets(sorted(shares))):
            secret = self._combine(holders, shares)
            if secret is not None and fits(secret):
                if tried:
                    self._name_culprits(holders, shares)
                return secret
        raise ShareError(
            f"No {self.threshold} of the {len(shares)} shares of client {owner} give what it committed to: it dealt "
            f"wrong shares, or too many holders changed theirs. Suspected so far: {sorted(self.culprits) or 'nobody'}."
        )

    def _subsets(self, holders: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Yield up to 256 sets of t holders: first those without known culprits, rotations, then public random ones."""
        ordered = [h for h in holders if h not in self.culprits] + [h for h in holders if h in self.culprits]
        count, t = len(ordered), self.threshold
        rotations = 1 if count == t else min(count, MOST_TRIES)
        for start in range(rotations):
            yield tuple(sorted((ordered + ordered)[start : start + t]))
        for number in range(rotations, MOST_TRIES if count > t else 0):
            keys = KeyStream(digest(SUBSET, INDEX.pack(number))).uint64(count)
            yield tuple(sorted(holder for _, holder in sorted(zip(keys, ordered, strict=True))[:t]))

    def _combine(self, holders: tuple[int, ...], shares: Mapping[int, int]) -> bytes | None:
        if holders not in self._weights:
            self._weights[holders] = lagrange_weights([holder + 1 for holder in holders])
        try:
            return combine([shares[holder] for holder in holders], self._weights[holders])
        except ShareError:
            return None

    def _name_culprits(self, fitting: tuple[int, ...], shares: Mapping[int, int]) -> None:
        """Add the holders whose shares lie off the polynomial of those that fit, if these can be nobody else.

        Two liars can make their errors cancel at 0 and point at honest holders. With at most half of the surplus
        shares off, that would take more liars than that half, as two polynomials share fewer than t points.
        """
        points, misfits = [holder + 1 for holder in fitting], set()
        for holder in shares.keys() - set(fitting):
            weights = lagrange_weights(points, at=holder + 1)
            expected = sum(shares[h] * weight for h, weight in zip(fitting, weights, strict=True)) % PRIME
            if shares[holder] != expected:
                misfits.add(holder)
        if len(misfits) <= (len(shares) - self.threshold) // 2:
            self.culprits |= misfits
