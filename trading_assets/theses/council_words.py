"""Words that every voice of the council shares: the plain types of questions and answers, and what no answer may be.

The council hears the analysts and decides nothing: researchers argue, the chief sets the stance, the strategist forms theses, the
trader chooses, the personas vote. Whatever an agent leaves unsaid opens nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from trading_assets.briefs.roles import SENTENCE_MAX
from trading_assets.reasoning.marks import Mark

Row = Mapping[str, Any]
Share = Annotated[float, Field(ge=0, le=1)]
Signed = Annotated[float, Field(ge=-1, le=1)]
Outside = Annotated[str, Mark.UNTRUSTED]
Listed = Annotated[str, Mark.SYMBOL]
# What a model writes where a symbol belongs; whether it is one of the list is for the role's check.
Named = Annotated[str, Mark.SYMBOL, Field(pattern=r"^[A-Z][A-Z0-9._-]{0,23}$")]
ALWAYS_SURE_MIN = 3
RULES_STRENGTH_MAX = 0.95
MARKET_SHARE = 0.5


class Words(BaseModel):
    """A plain value: nothing beside its fields, and no number that is none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def one_each(given: Sequence[str], wanted: Collection[str], *, what: str) -> str | None:
    """The complaint when an answer does not speak on each of a list exactly once; a foreign word is not repeated."""
    strangers = [place for place, name in enumerate(given) if name not in wanted]
    if strangers:
        return f"{what} {strangers[0]} of the answer is none of {', '.join(sorted(wanted))}"
    twice = sorted({name for name in given if given.count(name) > 1})
    if twice:
        return f"{what} {', '.join(twice)} stands twice; each stands once"
    missing = sorted(set(wanted) - set(given))
    return f"{what} {', '.join(missing)} is missing; each stands once" if missing else None


def always_sure(levels: Sequence[float], *, what: str) -> str | None:
    """The complaint about a full score for everything on a list of three or more: that tells nothing apart."""
    if len(levels) >= ALWAYS_SURE_MIN and all(abs(level) >= 1 for level in levels):
        return f"every {what} is at its bound, which tells nothing apart"
    return None


def sentence(*parts: str) -> str:
    """Parts as one sentence that fits its field."""
    return " ".join(part for part in parts if part)[:SENTENCE_MAX]
