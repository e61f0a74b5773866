"""A thesis: a claim with a horizon, a confidence and the price that proves it wrong."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table

Direction = Literal["long", "avoid"]


class Thesis(BaseModel):
    """What the desk believes of one symbol at one slot."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    session: date
    slot: str
    symbol: str
    claim: str
    direction: Direction
    horizon_sessions: Annotated[int, Field(ge=1)]
    target: Annotated[Decimal, Field(gt=0)]
    invalidation: Annotated[Decimal, Field(gt=0)]
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


THESES = Table(
    name="theses",
    doc="What the desk believed of a symbol at a slot.",
    key=("session", "thesis_id"),
    columns=(
        SESSION,
        Column("slot", "text", "Decision time, New York HH:MM."),
        Column("thesis_id", "text", "Made from session, slot and symbol."),
        SYMBOL,
        Column("claim", "text", "One sentence."),
        Column("direction", "text", "long or avoid."),
        Column("horizon_sessions", "count", "Sessions within which the claim should come true."),
        Column("target", "usd", "USD."),
        Column("invalidation", "usd", "The claim is wrong when a session closes below, USD."),
        Column("confidence", "number", "0 to 1, from log-odds."),
        KNOWABLE_AT,
    ),
)
