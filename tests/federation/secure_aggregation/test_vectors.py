"""The published document: its test vectors and its sizes are those of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federation.secure_aggregation.messages import Advertise, Confirm, MaskedInput, ShareKeys, Unmask
from federation.secure_aggregation.requests import Confirmations, KeyList, SealedShares, SurvivorSets
from federation.secure_aggregation.sealing import SEALED_BYTES
from tests.federation.secure_aggregation.vectors import BROADCAST, NAMES, known_answers

DOCUMENT = (Path(__file__).parents[3] / "docs" / "secure_aggregation.md").read_text()
PUBLISHED = json.loads(re.search(r"```json\n(.*?)```", DOCUMENT, re.DOTALL).group(1))
ANN, BOB, CYN = (PUBLISHED["clients"][name] for name in NAMES)
CONTEXT = bytes.fromhex(PUBLISHED["context"])


def test_the_code_gives_the_published_answers():
    assert known_answers() == PUBLISHED


def joined(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def hashed(*parts: bytes) -> bytes:
    state = Hash(SHA256())
    state.update(joined(*parts))
    return state.finalize()


def keystream(key: str) -> np.ndarray:
    stream = Cipher(algorithms.AES(bytes.fromhex(key)), modes.CTR(bytes(16))).encryptor()
    return np.frombuffer(stream.update(bytes(16)), "<u4")


def derived(label: bytes, secret: bytes, *names: str) -> str:
    info = joined(label, CONTEXT, *(name.encode() for name in names))
    return HKDF(SHA256(), 32, salt=label, info=info).derive(secret).hex()


def agreed(own: str, other: str) -> bytes:
    """Return the X25519 secret of two private keys."""
    public = X25519PrivateKey.from_private_bytes(bytes.fromhex(other)).public_key()
    own_key = X25519PrivateKey.from_private_bytes(bytes.fromhex(own))
    return own_key.exchange(X25519PublicKey.from_public_bytes(public.public_bytes_raw()))


def test_the_context_follows_from_the_session_by_hand():
    session = [bytes.fromhex(PUBLISHED[key]) for key in ("roster", "configuration")]
    identifier = hashed(b"PrivFedTalk session v1", *session, bytes(32))
    assert identifier.hex() == PUBLISHED["session id"]
    place = PUBLISHED["round"].to_bytes(4, "big") + PUBLISHED["attempt"].to_bytes(4, "big")
    assert hashed(b"PrivFedTalk attempt v1", identifier, place, hashed(BROADCAST)) == CONTEXT
    authority = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(PUBLISHED["offline private key"])).public_key()
    authority.verify(bytes.fromhex(PUBLISHED["session signature"]), identifier)
    authority.verify(bytes.fromhex(PUBLISHED["roster signature"]), session[0])


def test_the_contexts_of_a_later_round_follow_by_hand():
    later = (PUBLISHED["round"] + 1).to_bytes(4, "big")
    keys = hashed(b"PrivFedTalk later round v1", CONTEXT, later)
    assert keys.hex() == PUBLISHED["context of the keys of round 8"]
    attempt = hashed(b"PrivFedTalk attempt v1", keys, later + bytes(4), hashed(BROADCAST))
    assert attempt.hex() == PUBLISHED["context of attempt 0 at round 8"]


def test_the_keys_follow_from_the_private_ones_by_hand():
    mask = b"PrivFedTalk pairwise mask v1"
    for name, other in (("bob", BOB), ("cyn", CYN)):
        secret = agreed(ANN["mask private key"], other["mask private key"])
        assert derived(mask, secret, "ann", name) == ANN["pairwise mask AES keys"][name]
        channel = agreed(ANN["channel private key"], other["channel private key"])
        assert derived(b"PrivFedTalk share channel v1", channel, "ann", name) == ANN["channel keys, outgoing"][name]
    own = bytes.fromhex(ANN["self mask secret"])
    assert derived(b"PrivFedTalk self mask v1", own, "ann") == ANN["self mask AES key"]
    commitment = hashed(b"PrivFedTalk self mask commitment v1", CONTEXT, b"ann", own)
    assert commitment.hex() == ANN["message ADVERTISE"][2 * 104 : 2 * 136]


def test_the_masked_vector_follows_from_the_keys_by_hand():
    masks = [ANN["self mask AES key"], *ANN["pairwise mask AES keys"].values()]
    masked = sum((keystream(key) for key in masks), np.array(ANN["vector"], np.uint32))
    assert masked.astype("<u4").tobytes().hex() == ANN["message MASK_INPUT"][2 * 40 :]
    assert PUBLISHED["sum"] == [(a + b) % 2**32 for a, b in zip(ANN["vector"], BOB["vector"], strict=True)]


def test_the_sealed_shares_open_by_hand():
    message = bytes.fromhex(ANN["message SHARE_KEYS"])
    sealed = message[44:126]
    data = joined(CONTEXT, b"ann", b"bob")
    shares = ChaCha20Poly1305(bytes.fromhex(ANN["channel keys, outgoing"]["bob"])).decrypt(bytes(12), sealed, data)
    prime = 2**256 + 297
    for name, part in (("self mask secret", shares[:33]), ("mask private key", shares[33:])):
        at_1, at_2 = int(ANN[f"own share of the {name}"], 16), int.from_bytes(part, "big")
        assert (2 * at_1 - at_2) % prime == int(ANN[name], 16), "a line through x = 1 and x = 2 meets 0 in the secret"


def published_sizes() -> dict[str, int]:
    """Return the last column of the table of sizes, without the vector's."""
    rows = re.findall(r"^\| (\w+)(?: \(to the client\))? \| [^|]+ \| ([\d,]+) \|$", DOCUMENT, re.MULTILINE)
    return {name: int(size.replace(",", "")) for name, size in rows}


def test_the_published_sizes_are_those_of_a_hundred_clients():
    others, everybody = range(1, 100), range(100)
    sealed = dict.fromkeys(others, bytes(SEALED_BYTES))
    signatures = dict.fromkeys(others, bytes(64))
    keys = {client: Advertise(client, bytes(32), bytes(32), bytes(32)) for client in everybody}
    encoded = {
        "Advertise": keys[0].encode(CONTEXT),
        "ShareKeys": ShareKeys(0, sealed).encode(CONTEXT),
        "MaskedInput": MaskedInput(0, np.zeros(1_000_000, np.uint32)).encode(CONTEXT),
        "Confirm": Confirm(0, bytes(64)).encode(CONTEXT),
        "Unmask": Unmask(0, dict.fromkeys(everybody, 0)).encode(CONTEXT),
        "KeyList": KeyList(keys).encode(0, CONTEXT),
        "SealedShares": SealedShares(sealed).encode(0, CONTEXT),
        "SurvivorSets": SurvivorSets(frozenset(), frozenset()).encode(0, CONTEXT, everybody),
        "Confirmations": Confirmations(signatures).encode(0, CONTEXT),
    }
    assert published_sizes() == {kind: len(message) for kind, message in encoded.items()}
