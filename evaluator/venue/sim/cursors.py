"""Opaque cursors: signed, typed by endpoint, bound to what they were issued for."""

import binascii
import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from evaluator.venue.sim.parameters import RefusedError

_KEY = b"the simulated venue signs its cursors, so that a client cannot make them"
_SIGNATURE_BYTES = 12
_LONGEST = 2_000


def seal(endpoint: str, anchor: str, place: dict[str, Any]) -> str:
    """A cursor for the place where a walk through an endpoint's rows of an anchor stands."""
    content = json.dumps([endpoint, anchor, place], separators=(",", ":")).encode()
    return urlsafe_b64encode(_signature(content) + content).decode().rstrip("=")


def unseal(cursor: str, endpoint: str, anchor: str) -> dict[str, Any]:
    """The place that a cursor stands for; refuses one that we did not issue for this."""
    try:
        padded = cursor[:_LONGEST] + "=" * (-len(cursor[:_LONGEST]) % 4)
        sealed = urlsafe_b64decode(padded.encode())
    except (binascii.Error, ValueError):
        raise RefusedError("invalid cursor") from None
    signature, content = sealed[:_SIGNATURE_BYTES], sealed[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(content)):
        raise RefusedError("invalid cursor")
    issued_by, issued_for, place = json.loads(content)
    if issued_by != endpoint:
        raise RefusedError("cursor was issued by another endpoint")
    if issued_for != anchor:
        raise RefusedError("cursor contradicts the request: it was issued for other parameters")
    found: dict[str, Any] = place
    return found


def _signature(content: bytes) -> bytes:
    return hashlib.blake2b(content, key=_KEY[:64], digest_size=_SIGNATURE_BYTES).digest()
