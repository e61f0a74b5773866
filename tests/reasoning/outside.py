"""A question with untrusted text in every position, and a skill for it: what the tests of prompts and injections ask."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from trading_assets.briefs.roles import NewsInputs, Opinion, ReadingId, Sentence
from trading_assets.reasoning.marks import Mark
from trading_assets.reasoning.skills import Skill, read_skill

PROJECT = Path(__file__).parents[2]
DOCTRINE = (PROJECT / "context" / "philosophy.md").read_text().strip()
Outside = Annotated[str, Mark.UNTRUSTED]


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Note(_Words):
    """One untrusted text with an id that may be cited."""

    id: ReadingId
    words: Outside


class Question(_Words):
    """Untrusted text in each of the six positions, beside facts that are ours."""

    symbol: Annotated[str, Mark.SYMBOL] = "ASSET_A"
    session: date = date(2012, 6, 12)
    close: Annotated[float, Mark.LEVEL] = 100.0
    headline: tuple[Note, ...] = ()
    body: tuple[Outside, ...] = ()
    filing: Annotated[tuple[str, ...], Mark.UNTRUSTED] = ()
    description: Outside | None = None
    tool_result: Annotated[dict[str, str], Mark.UNTRUSTED] = Field(default_factory=dict)
    memory: tuple[Note, ...] = ()


class OpinionOnSymbol(_Words):
    """An answer that may choose a symbol from a closed list, as later stages do."""

    symbol: Annotated[str, Mark.SYMBOL]
    reasons: Annotated[tuple[Sentence, ...], Field(min_length=1)]


def asking(position: str, texts: tuple[str, ...]) -> Question:
    """A question that carries the texts in one position."""
    notes = tuple(Note(id=f"h{at}", words=text) for at, text in enumerate(texts, 1))
    match position:
        case "headline":
            return Question(headline=notes)
        case "memory":
            return Question(memory=notes)
        case "body":
            return Question(body=texts)
        case "filing":
            return Question(filing=texts)
        case "description":
            return Question(description=" ".join(texts))
        case "tool_result":
            return Question(tool_result={f"key {at}": text for at, text in enumerate(texts)})
    raise AssertionError(position)


@cache
def news_skill() -> Skill:
    """The committed news analyst."""
    return read_skill(PROJECT / "skills" / "news-analyst", {"NewsInputs": NewsInputs, "Opinion": Opinion})
