"""What a failed call means for its route: which outcome is booked, whether the breaker counts it, and for how long it opens.

Exceptions of pydantic-ai and of the two command-line routes are known here. Anything else is a bug and must propagate.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from resources.llm.keys import scrubbed
from trading_assets.reasoning.model import Outcome

if TYPE_CHECKING:
    from pydantic_ai.exceptions import ModelAPIError

QUOTA_PAUSE = timedelta(hours=1)
PERSON_PAUSE = timedelta(minutes=10)
# A server that asks for more says nothing that a breaker should believe.
PAUSE_MAX = timedelta(days=1)
_WORDS_MAX = 200
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,59}")


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call in the desk's words.

    `counts` says whether the breaker counts it: an answer that is merely bad shows that the route is there. `open_now` opens at
    once, for at least `at_least`.
    """

    outcome: Outcome
    reason: str
    counts: bool
    open_now: bool = False
    at_least: timedelta = timedelta(0)


def failure_of(error: BaseException) -> Failure | None:
    """The failure behind an exception of a call; None for a bug, which must propagate. Its reason never holds a key."""
    from pydantic_ai import exceptions as known

    from resources.llm.guarded import UndocumentedReply

    if isinstance(error, known.ContentFilterError):
        return Failure("refused", "the model declined to answer", counts=False)
    if isinstance(error, known.OutputTokenLimitExceeded):
        return Failure("truncated", "the answer was cut off at the limit of output tokens", counts=False)
    if isinstance(error, known.ModelAPIError):
        return _of_api(error)
    if isinstance(error, known.UnexpectedModelBehavior):
        undocumented = isinstance(error, UndocumentedReply)
        return Failure("malformed", _plain(f"the answer does not fit: {error.message}"), counts=undocumented)
    if isinstance(error, TimeoutError):
        return Failure("timeout", "the route did not answer in time", counts=True)
    return None


def _of_api(error: ModelAPIError) -> Failure:
    from pydantic_ai import exceptions as known

    reason = _reason(error)
    match error:
        case known.ModelQuotaExceededError():
            return Failure("quota", reason, counts=True, open_now=True, at_least=QUOTA_PAUSE)
        case known.ModelRateLimitError():
            pause = _pause(error.retry_after)
            return Failure("rate_limited", reason, counts=True, open_now=pause > timedelta(0), at_least=pause)
        case known.ModelAuthenticationError() | known.ModelNotFoundError():
            outcome: Outcome = "unauthorized" if isinstance(error, known.ModelAuthenticationError) else "rejected"
            return Failure(outcome, reason, counts=True, open_now=True, at_least=PERSON_PAUSE)
        case known.ModelRequestRejectedError():
            return Failure("rejected", reason, counts=False)
        case known.ModelUnavailableError():
            return Failure("overloaded", reason, counts=True, at_least=_pause(error.retry_after))
        case known.ModelServerError():
            return Failure("server_error", reason, counts=True, at_least=_pause(error.retry_after))
        case known.ModelTimeoutError() | known.ModelRequestTimeout():
            return Failure("timeout", reason, counts=True)
        case known.ModelConnectionError():
            return Failure("unreachable", reason, counts=True)
        case _:
            return _uncategorised(error, reason)


def _uncategorised(error: ModelAPIError, reason: str) -> Failure:
    """A status that has no category, or a good status with a body that is no answer at all."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and 400 <= status < 500:
        return Failure("rejected", reason, counts=False)
    return Failure("server_error", reason, counts=True)


def _reason(error: ModelAPIError) -> str:
    """Kind, status and the provider's own code; the provider's sentence only where it cannot be about the key."""
    from pydantic_ai import exceptions as known

    parts = [type(error).__name__]
    status = getattr(error, "status_code", None)
    if status is not None:
        parts.append(f"HTTP {status}")
    parts += [code for code in (error.provider_error_code, error.provider_error_type) if code and _CODE.fullmatch(code)]
    if not isinstance(error, known.ModelAuthenticationError):
        parts.append(_sentence(error))
    return _plain(": ".join(dict.fromkeys(part for part in parts if part)))


def _sentence(error: ModelAPIError) -> str:
    if not isinstance(error.body, dict):
        return "" if error.body is not None else error.message
    inner = error.body.get("error", error.body)
    words = inner.get("message") if isinstance(inner, dict) else None
    return words if isinstance(words, str) else ""


def _plain(words: str) -> str:
    """One short line of printable characters, without keys."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in scrubbed(words)).split())
    return line if len(line) <= _WORDS_MAX else line[: _WORDS_MAX - 1] + "…"


def _pause(seconds: float | None) -> timedelta:
    if seconds is None or not math.isfinite(seconds) or seconds <= 0:
        return timedelta(0)
    return min(timedelta(seconds=min(seconds, PAUSE_MAX.total_seconds())), PAUSE_MAX)
