"""A narrative, and the table that keeps it."""

from datetime import date
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from trading_assets.briefs.model import Evidence
from trading_assets.core.tables import KNOWABLE_AT, SESSION, Column, Table
from trading_assets.reasoning.origin import ORIGIN

Stage = Literal["nascent", "emerging", "peak", "declining", "dead"]
Edge = Literal["high", "medium", "low", "none"]


class Narrative(BaseModel):
    """What the news tells of one symbol (or of MARKET) up to a moment, before the open of `session`.

    Args:
        velocity: How fast attention grows (1) or fades (-1).
        direction: What the story means for the price, -1 to 1.
        consensus: How far the items agree in direction, 0 to 1.
        source_diversity: 0 (one publisher) to 1 (every item from another one).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    session: date
    as_of: AwareDatetime
    symbol: str
    story: Annotated[str, Field(min_length=1, max_length=240)]
    counter_story: Annotated[str, Field(max_length=240)] = ""
    stage: Stage
    velocity: Annotated[float, Field(ge=-1, le=1)]
    direction: Annotated[float, Field(ge=-1, le=1)]
    consensus: Annotated[float, Field(ge=0, le=1)]
    source_diversity: Annotated[float, Field(ge=0, le=1)]
    edge: Edge
    items: Annotated[int, Field(ge=1)]
    evidence: Annotated[tuple[Evidence, ...], Field(min_length=1)]
    route: str
    model: str = ""
    leakage: str = "clean"
    answer_key: str = ""


NARRATIVES = Table(
    name="narratives",
    doc="What the news told of one symbol, or of MARKET, before the session's open.",
    key=("session", "symbol"),
    columns=(
        SESSION,
        Column("symbol", "text", "Ticker, or MARKET."),
        Column("story", "text", "One sentence."),
        Column("counter_story", "text", "What speaks against it; may be empty text."),
        Column("stage", "text", "nascent, emerging, peak, declining or dead."),
        Column("velocity", "number", "How fast attention grows (1) or fades (-1)."),
        Column("direction", "number", "What the story means for the price, -1 to 1."),
        Column("consensus", "number", "How far the items agree, 0 to 1."),
        Column("source_diversity", "number", "0 (one publisher) to 1 (every item from another one)."),
        Column("edge", "text", "What is left to gain from it: high, medium, low or none."),
        Column("items", "count", "Headlines that it was made from."),
        Column("evidence", "text", "JSON list of citations: table, session, symbol, column, value."),
        *ORIGIN,
        KNOWABLE_AT,
    ),
)
