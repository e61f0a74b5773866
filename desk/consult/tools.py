"""The look-ups by name. Whatever is wrong with a request comes back as a sentence that says how to mend it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from desk.consult.book import BOOK_TOOLS
from desk.consult.market import MARKET_TOOLS
from desk.consult.reading import Desk, Found, Look
from trading_assets.core.errors import DeskError
from trading_assets.plans.guide import Tool, ToolCall

TOOLS: Mapping[str, Look[Any]] = {**MARKET_TOOLS, **BOOK_TOOLS}


def catalogue() -> tuple[Tool, ...]:
    """Every tool with its arguments; a star marks those that it needs."""
    return tuple(
        Tool(
            name=name,
            shows=tool.shows,
            takes=tuple(
                f"{argument}*" if field.is_required() else argument
                for argument, field in tool.takes.model_fields.items()
            ),
        )
        for name, tool in TOOLS.items()
    )


def use(desk: Desk, call: ToolCall) -> Found:
    """What the look-up shows; an unknown tool, a bad argument or a store that cannot be read is a sentence in the note."""
    tool = TOOLS.get(call.tool)
    if tool is None:
        return Found((), f"there is no tool {call.tool}; there are {', '.join(TOOLS)}")
    try:
        wanted = tool.takes.model_validate(_given(call))
    except ValidationError as wrong:
        return Found((), _mended(call.tool, tool, wrong))
    try:
        return tool.look(desk, wanted)
    except DeskError as refused:
        return Found((), " ".join(str(refused).split())[:400])


def worded(call: ToolCall) -> str:
    """The look-up as a person reads it."""
    return " ".join((call.tool, *(f"{name}={value}" for name, value in _given(call).items())))


def _given(call: ToolCall) -> dict[str, Any]:
    return {name: value for name, value in call.model_dump().items() if value is not None and name != "tool"}


def _mended(name: str, tool: Look[Any], wrong: ValidationError) -> str:
    """What is wrong and what the tool takes, without repeating the value."""
    problems = "; ".join(
        f"{'.'.join(map(str, error['loc']))}: {_said(error['type'], error['msg'])}"
        for error in wrong.errors(include_input=False, include_url=False)[:3]
    )
    return f"{name} cannot use that: {problems}; it takes {', '.join(tool.takes.model_fields) or 'no argument'}"


def _said(kind: str, message: str) -> str:
    return {"extra_forbidden": "it does not take this", "missing": "it needs this"}.get(kind, message)
