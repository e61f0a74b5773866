"""The analysts as roles: what they are given, what they answer, and the checks that no answer escapes.

A reading is a row of the lake with an id of its own; an answer cites readings by id, so a citation that was not given is malformed.
"""

from datetime import date
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from trading_assets.reasoning.marks import Mark

ReadingId = Annotated[str, Field(pattern=r"^[a-z][0-9]{1,3}$")]
SENTENCE_MAX = 240
Sentence = Annotated[str, Field(min_length=1, max_length=SENTENCE_MAX)]


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Cell(_Words):
    id: ReadingId
    table: str
    column: str
    session: date


class Reading(_Cell):
    """One number that the analyst may cite: a ratio, an index or a count."""

    value: float


class PriceReading(_Cell):
    """One price, or a number in the price's unit, USD, that the analyst may cite."""

    value: Annotated[float, Mark.LEVEL]


class View(_Words):
    """The strategy-facing regime of the symbol."""

    id: ReadingId
    name: str


class TechnicalInputs(_Words):
    """What the technical analyst sees of one symbol: facts of the session before."""

    symbol: Annotated[str, Mark.SYMBOL]
    session: date
    view: View | None
    prices: tuple[PriceReading, ...]
    readings: tuple[Reading, ...]

    @property
    def ids(self) -> frozenset[str]:
        """Everything that may be cited."""
        cells: tuple[_Cell, ...] = (*self.prices, *self.readings)
        return frozenset({cell.id for cell in cells} | ({self.view.id} if self.view else set()))


class BreadthInputs(_Words):
    """What the breadth analyst sees of the universe: facts of the session before."""

    session: date
    readings: tuple[Reading, ...]

    @property
    def ids(self) -> frozenset[str]:
        """Everything that may be cited."""
        return frozenset(reading.id for reading in self.readings)


class Headline(_Words):
    """One dated headline about the symbol; publishers are numbered, 0 where nobody is named."""

    id: ReadingId
    published: date
    text: Annotated[str, Mark.UNTRUSTED]
    publisher: Annotated[int, Field(ge=0)] = 0


class NewsInputs(_Words):
    """What the news analyst sees of one symbol."""

    symbol: Annotated[str, Mark.SYMBOL]
    session: date
    headlines: tuple[Headline, ...]

    @property
    def ids(self) -> frozenset[str]:
        """Everything that may be cited."""
        return frozenset(headline.id for headline in self.headlines)


class MacroReading(_Words):
    """How one macro series moved up to its newest value; ids cite that value and those that it is compared with.

    Changes are fractions of the older value, or percentage points where the series itself is in percent; None where no older value
    is known. No level is given: a level of an index tells the year.
    """

    id: ReadingId
    series: str
    observed: date
    unit: Literal["fraction", "points"]
    change_month: float | None
    change_two_months: float | None


class MacroInputs(_Words):
    """What the macro analyst sees of the economy: what had been released before the decision.

    `credit_spread` is Moody's BAA yield over AAA in percentage points, to a tenth; its change is that of two months.
    """

    session: date
    series: Annotated[tuple[MacroReading, ...], Field(min_length=1)]
    credit_spread: float | None
    credit_spread_change: float | None

    @property
    def ids(self) -> frozenset[str]:
        """Everything that may be cited."""
        return frozenset(reading.id for reading in self.series)


class Opinion(_Words):
    """An analyst's answer: -1 (sell) to 1 (buy), how sure, why, and the ids of the readings that it rests on."""

    signal: Annotated[float, Field(ge=-1, le=1)]
    confidence: Annotated[float, Field(ge=0, le=1)]
    reasons: Annotated[tuple[Sentence, ...], Field(min_length=1, max_length=5)]
    evidence: Annotated[tuple[ReadingId, ...], Field(min_length=1, max_length=12)]


class Citable(Protocol):
    """Inputs whose parts carry ids."""

    @property
    def ids(self) -> frozenset[str]:
        """Everything that may be cited."""
        ...


class Citing(Protocol):
    """An answer that cites ids."""

    @property
    def evidence(self) -> tuple[str, ...]:
        """The ids."""
        ...


def uncited(inputs: Citable, answer: Citing) -> str | None:
    """The complaint about citations that were not given; None when all were."""
    foreign = sorted(set(answer.evidence) - inputs.ids)
    return (
        f"evidence {', '.join(foreign)} was not given; cite only {', '.join(sorted(inputs.ids))}" if foreign else None
    )
