"""What an analyst says, and the table that keeps it."""

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from trading_assets.core.tables import KNOWABLE_AT, SESSION, Column, Table
from trading_assets.reasoning.model import Leakage
from trading_assets.reasoning.origin import ORIGIN


class Evidence(BaseModel):
    """A citation: the row of the lake (table, session, symbol), the column, and the value that the analyst saw there."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    table: str
    session: date
    symbol: str
    column: str
    value: float | str


class Brief(BaseModel):
    """One analyst's view of one symbol, or of the market, before the open."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    agent: str
    symbol: str
    as_of: datetime
    signal: Annotated[float, Field(ge=-1, le=1)]
    confidence: Annotated[float, Field(ge=0, le=1)]
    reasons: Annotated[tuple[str, ...], Field(min_length=1)]
    evidence: Annotated[tuple[Evidence, ...], Field(min_length=1)]
    route: str
    model: str = ""
    leakage: Leakage = "clean"
    answer_key: str = ""


ANALYST_BRIEFS = Table(
    name="analyst_briefs",
    doc="One analyst's view of one symbol for the session, from facts of the sessions before it.",
    key=("session", "agent", "symbol"),
    columns=(
        SESSION,
        Column("agent", "text", "technical or breadth."),
        Column("symbol", "text", "Ticker, or MARKET."),
        Column("signal", "number", "-1 (sell) to 1 (buy)."),
        Column("confidence", "number", "0 to 1."),
        Column("reasons", "text", "JSON list of sentences."),
        Column("evidence", "text", "JSON list of citations: table, session, symbol, column, value."),
        *ORIGIN,
        KNOWABLE_AT,
    ),
)
