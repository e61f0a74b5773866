"""The analysts as roles: what they are given, what they answer, and the checks that no answer escapes.

A reading is a row of the lake with an id of its own; an answer cites readings by id, so a citation that was not given is malformed.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from trading_assets.reasoning.marks import Mark

ReadingId = Annotated[str, Field(pattern=r"^[a-z][0-9]{1,3}$")]
Sentence = Annotated[str, Field(min_length=1, max_length=240)]


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Reading(_Words):
    """One number that the analyst may cite. `value` is a ratio, an index or a count."""

    id: ReadingId
    table: str
    column: str
    session: date
    value: float


class PriceReading(_Words):
    """One price, or a number in the price's unit, USD, that the analyst may cite."""

    id: ReadingId
    table: str
    column: str
    session: date
    value: Annotated[float, Mark.LEVEL]


class TechnicalInputs(_Words):
    """What the technical analyst sees of one symbol: facts of the session before."""

    symbol: Annotated[str, Mark.SYMBOL]
    session: date
    regime: str | None
    view: Literal["trend", "range", "unknown"]
    prices: tuple[PriceReading, ...]
    readings: tuple[Reading, ...]


class BreadthInputs(_Words):
    """What the breadth analyst sees of the universe: facts of the session before."""

    session: date
    readings: tuple[Reading, ...]


class Headline(_Words):
    """One dated headline about the symbol."""

    id: ReadingId
    published: date
    text: Annotated[str, Mark.UNTRUSTED]


class NewsInputs(_Words):
    """What the news analyst sees of one symbol."""

    symbol: Annotated[str, Mark.SYMBOL]
    session: date
    headlines: tuple[Headline, ...]


class Opinion(_Words):
    """An analyst's answer: -1 (sell) to 1 (buy), how sure, why, and the ids of the readings that it rests on."""

    signal: Annotated[float, Field(ge=-1, le=1)]
    confidence: Annotated[float, Field(ge=0, le=1)]
    reasons: Annotated[tuple[Sentence, ...], Field(min_length=1, max_length=5)]
    evidence: Annotated[tuple[ReadingId, ...], Field(min_length=1, max_length=12)]
