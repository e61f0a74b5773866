"""Identities made from content, so that the same fact has the same id on every machine and in every retry."""

import hashlib
import json


def digest(*parts: object) -> str:
    """The sha256 of the parts in canonical JSON (sorted keys, ISO dates), as 64 hex digits."""
    canonical = json.dumps(parts, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def short_id(*parts: object) -> str:
    """The first 16 hex digits of the digest: enough for names that a person reads."""
    return digest(*parts)[:16]
