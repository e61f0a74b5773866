"""A lesson: what a closed trade taught, with the context in which it was opened."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table

Grade = Literal["A", "B", "C", "D", "F"]


class Lesson(BaseModel):
    """The report card of one closed trade. Knowable from `resolved_at` on, never before: USD, fractions of what the entry cost."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    id: str
    session: date
    resolved_at: AwareDatetime
    symbol: str
    strategy: str
    regime: str
    direction: Literal["long", "short"]
    thesis_id: str
    confidence: Annotated[float, Field(ge=0, le=1)]
    votes: Mapping[str, float]
    opened: date
    sessions_held: int
    exit_reason: str
    pnl: Decimal
    return_fraction: float
    r_multiple: float | None
    grade: Grade
    lesson: str
    author: str = "rules"
    model: str = ""
    leakage: str = "clean"
    answer_key: str = ""


LESSONS = Table(
    name="lessons",
    doc="The report card of one closed trade.",
    key=("session", "lesson_id"),
    columns=(
        SESSION,
        Column("lesson_id", "text", "The trade's id."),
        SYMBOL,
        Column("strategy", "text", "Strategy that opened it."),
        Column("regime", "text", "The symbol's regime when it was opened."),
        Column("direction", "text", "long or short."),
        Column("thesis_id", "text", "The thesis that it served."),
        Column("confidence", "number", "Of the thesis when it was opened, 0 to 1."),
        Column("votes", "text", "JSON: each persona's vote, -1 to 1."),
        Column("opened", "day", "Session of the first entry fill."),
        Column("sessions_held", "count", "Sessions from entry to exit."),
        Column("exit_reason", "text", "stop, target or exit."),
        Column("pnl", "usd", "Profit after fees and dividends, USD."),
        Column("return_fraction", "number", "P&L over what the entry cost."),
        Column("r_multiple", "number", "P&L over what the planned stop would have lost.", nullable=True),
        Column("grade", "text", "A, B, C, D or F: the decision's quality, not its luck; docs/agents.md."),
        Column("lesson", "text", "Two to four sentences."),
        Column("author", "text", "Who wrote it: rules, or a model's route."),
        Column("model", "text", "The model; empty for rules."),
        Column("leakage", "text", "Could the model know what came later: clean, contaminated or unknown."),
        Column("answer_key", "text", "The recorded answer in the ledger, with its cost; empty for rules."),
        KNOWABLE_AT,
    ),
)
