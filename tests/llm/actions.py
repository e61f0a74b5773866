"""What the scripted model server does with one request: answer, fail, hang, break off. Each helper makes one `Action`."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

Trouble = Literal[
    "rate_limited", "overloaded", "server_error", "unavailable", "unauthorized", "forbidden", "unknown_model", "bad_request",
    "quota", "no_credit", "too_long", "odd",
]  # fmt: skip
Stop = Literal["end", "length", "refusal"]
STATUS: dict[Trouble, int] = {
    "rate_limited": 429,
    "overloaded": 529,
    "server_error": 500,
    "unavailable": 503,
    "unauthorized": 401,
    "forbidden": 403,
    "unknown_model": 404,
    "bad_request": 400,
    "quota": 429,
    "no_credit": 402,
    "too_long": 400,
    "odd": 418,
}


@dataclass(frozen=True)
class Action:
    """One reply.

    `words` is the answer's text (None: an object that fits the schema that was asked for). `structured` puts it where the request
    wants its object: the tool call when a tool was offered, the text otherwise. Tokens that are None are counted by the server.
    `delay_s` passes before the first byte, `drip_s` while the body is sent; `cut` is the share of the body after which the
    connection breaks. `raw` replaces the whole body. `searches` counts only where a search was offered. `batch` is how a request
    in a batch ends.
    """

    words: str | None = None
    structured: bool = True
    stop: Stop = "end"
    trouble: Trouble | None = None
    message: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    raw: bytes | None = None
    content_type: str = "application/json"
    delay_s: float = 0.0
    drip_s: float = 0.0
    cut: float | None = None
    in_stream: bool = False
    batch: Literal["succeeded", "errored", "expired", "canceled"] = "succeeded"
    input_tokens: int | None = None
    cached_tokens: int = 0
    written_tokens: int = 0
    output_tokens: int | None = None
    searches: int = 1
    model: str | None = None


def fitting() -> Action:
    """The smallest object that fits the schema of the request."""
    return Action()


def answer(
    data: Any,
    *,
    input_tokens: int | None = None,
    cached_tokens: int = 0,
    written_tokens: int = 0,
    output_tokens: int | None = None,
) -> Action:
    """The data as the typed answer; `input_tokens` includes those read from a cache and those written to it."""
    return Action(
        words=json.dumps(data),
        input_tokens=input_tokens,
        cached_tokens=cached_tokens,
        written_tokens=written_tokens,
        output_tokens=output_tokens,
    )


def said(words: str) -> Action:
    """The words where the object belongs, unchanged: NaN, broken JSON, JSON of another type."""
    return Action(words=words)


def prose(words: str = "I would buy, if you ask me.") -> Action:
    """Words beside the point, never in a tool call."""
    return Action(words=words, structured=False)


def truncated(words: str = '{"action": "BU') -> Action:
    """Cut off at the limit of output tokens."""
    return Action(words=words, stop="length")


def refusal() -> Action:
    """The model declines."""
    return Action(words="", structured=False, stop="refusal")


def empty() -> Action:
    """A good status and no content."""
    return Action(words="", structured=False)


def failing(trouble: Trouble, message: str = "", *, retry_after: str | None = None, in_stream: bool = False) -> Action:
    """An error as the provider words it; `retry_after` is a number of seconds or an HTTP date."""
    headers = () if retry_after is None else (("retry-after", retry_after),)
    return Action(
        trouble=trouble,
        message=message,
        headers=headers,
        in_stream=in_stream,
        batch="errored",
        input_tokens=0,
        output_tokens=0,
    )


def hang(seconds: float = 30.0) -> Action:
    """A good answer after that many seconds."""
    return Action(delay_s=seconds)


def dripping(seconds: float, action: Action | None = None) -> Action:
    """The reply in small pieces spread over that many seconds."""
    return replace(action or Action(), drip_s=seconds)


def dropped(share: float = 0.5, action: Action | None = None) -> Action:
    """The connection breaks after that share of the body; 0: before any byte."""
    return replace(action or Action(), cut=share)


def garbage(body: bytes = b"<html>\xff\x00 gateway</html>", content_type: str = "application/json") -> Action:
    """A good status and a body that is nothing of the kind."""
    return Action(raw=body, content_type=content_type)


def unfinished(how: Literal["expired", "canceled"]) -> Action:
    """A request of a batch that never ran."""
    return Action(batch=how, input_tokens=0, output_tokens=0)
