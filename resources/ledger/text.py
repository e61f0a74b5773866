"""What the ledger keeps as text: instants that compare as they sort, canonical JSON, and words that every database takes."""

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any

from trading_assets.core.errors import PermanentFailure

WORDS_MAX = 1_000
# PostgreSQL refuses NUL, and a lone surrogate has no UTF-8 form.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def instant_text(instant: datetime) -> str:
    """An instant as UTC text with microseconds: earlier texts are earlier instants.

    Raises:
        PermanentFailure: the instant has no time zone.
    """
    if instant.tzinfo is None:
        raise PermanentFailure("an instant without a time zone cannot be stored", value=instant.isoformat())
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def instant_of(text: str) -> datetime:
    """Back to the instant."""
    return datetime.fromisoformat(text)


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces; NaN and infinities are refused."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as refused:
        raise PermanentFailure(f"a value has no canonical JSON: {refused}", value=repr(value)[:WORDS_MAX]) from refused


def digest_of(*parts: str) -> str:
    """sha256 over the parts and their borders: moving a character from one part to the next changes it."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def words(text: str, most: int = WORDS_MAX) -> str:
    """Text from outside, cut to `most` characters, with what a database cannot hold replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text[:most])


def storable(what: str, text: str) -> str:
    """The text as it is; refused when a database cannot hold it unchanged."""
    if _UNSTORABLE.search(text):
        raise PermanentFailure(f"{what} holds NUL or half a character and cannot be stored", value=repr(text[:100]))
    return text
