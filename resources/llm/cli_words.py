"""A conversation as the plain texts that a command-line program takes, and what its failures are called."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelOverloadedError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelServerError,
    ModelTimeoutError,
    UserError,
)
from pydantic_ai.messages import ModelMessage, ModelRequest, SystemPromptPart, TextPart, UserPromptPart

from resources.llm.commands import TooMuchOutput
from resources.llm.guarded import UndocumentedReply

_CATEGORIES: Mapping[int, type[ModelAPIError]] = {
    400: ModelRequestRejectedError,
    401: ModelAuthenticationError,
    402: ModelQuotaExceededError,
    403: ModelAuthenticationError,
    404: ModelNotFoundError,
    422: ModelRequestRejectedError,
    429: ModelRateLimitError,
    503: ModelOverloadedError,
    529: ModelOverloadedError,
}


@contextmanager
def as_route_failures(program: str, model: str, timeout_s: float) -> Iterator[None]:
    """What goes wrong while the program runs, raised as the failure of a route."""
    try:
        yield
    except TimeoutError as late:
        raise ModelTimeoutError(model, f"{program} took more than {timeout_s} s") from late
    except TooMuchOutput as flood:
        raise UndocumentedReply(f"{program} wrote {flood}") from flood
    except OSError as broken:
        raise ModelConnectionError(model, f"{program} did not start: {broken}", phase="connect") from broken


@dataclass(frozen=True, slots=True)
class Texts:
    """What the program is told: standing words, and the conversation."""

    system: str
    user: str


def texts_of(messages: Sequence[ModelMessage], instructions: Sequence[str]) -> Texts:
    """The conversation in two texts. Whatever is not text has no place in them: UserError."""
    system, said = list(instructions), []
    for message in messages:
        if not isinstance(message, ModelRequest):
            said.append(
                "Your previous answer:\n" + "".join(p.content for p in message.parts if isinstance(p, TextPart))
            )
            continue
        for part in message.parts:
            if isinstance(part, SystemPromptPart):
                system.append(part.content)
            elif isinstance(part, UserPromptPart) and isinstance(part.content, str):
                said.append(part.content)
            else:
                raise UserError(f"a command-line route takes words only, not {type(part).__name__}")
    return Texts("\n\n".join(system), "\n\n".join(said))


def error_of_status(status: int, model: str, words: str) -> ModelHTTPError:
    """The error that the provider's interface would have raised for that status."""
    category = _CATEGORIES.get(status, ModelServerError if status >= 500 else None)
    return ModelHTTPError.for_category(category, status_code=status, model_name=model, body={"message": words})  # type: ignore[arg-type]


def object_of(text: bytes | str) -> dict[str, Any] | None:
    """The JSON object that the text is; None where it is something else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def count_of(usage: Mapping[str, Any], name: str) -> int:
    """A count of tokens; TypeError where it is none."""
    count = usage.get(name, 0)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise TypeError(f"{name} is no count")
    return count
