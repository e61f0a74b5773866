"""Theses as a graph that remembers: claims with confidence in log-odds, what speaks for and against them, and how they ended.

Confidence is p = 1 / (1 + exp(-L)) with L(t) = prior + sum of contributions, each halved every half-life of the thesis's horizon.
Models propose evidence; code does this arithmetic (`graph.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from trading_assets.briefs.model import ANALYST_BRIEFS
from trading_assets.briefs.narratives.model import NARRATIVES
from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table
from trading_assets.reasoning.origin import ORIGIN

Direction = Literal["long", "short"]
Horizon = Literal["intraday", "swing", "position"]
Status = Literal["active", "weak", "conflicted", "ended"]
Outcome = Literal["confirmed", "invalidated", "expired", "delisted", "given_up"]
EdgeKind = Literal["supports", "contradicts", "correlated", "anti_correlated", "ordered_as"]
EventKind = Literal["formed", "reinforced", "contradicted", "conflict", "cycle"] | Outcome
Bucket = Literal["small", "medium", "large"]
Probability = Annotated[float, Field(ge=0, le=1)]


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Contribution(_Value):
    """What a source added to a thesis, in log-odds at `at`; positive speaks for it.

    A thesis holds each source's first and last words: the last ones count, the first ones are scored when it ends.
    """

    source: str
    log_odds: float
    at: AwareDatetime


class Thesis(_Value):
    """A claim about one symbol: that it reaches `target` before it closes beyond `invalidation`, by the session `expires`.

    USD in today's share count; `split_ratio` is the product of the splits since it was formed. `author` is the route that formed
    it.
    """

    id: str
    symbol: str
    direction: Direction
    claim: str
    horizon: Horizon
    formed: date
    formed_slot: str
    formed_at: AwareDatetime
    expires: date
    reference: Annotated[Decimal, Field(gt=0)]
    target: Annotated[Decimal, Field(gt=0)]
    invalidation: Annotated[Decimal, Field(gt=0)]
    split_ratio: Annotated[Decimal, Field(gt=0)] = Decimal(1)
    regime: str
    author: str
    prior: float = 0.0
    contributions: tuple[Contribution, ...] = ()
    confidence_formed: Probability
    confidence: Probability
    as_of: AwareDatetime
    status: Status = "active"
    ended: date | None = None
    outcome: Outcome | None = None


class Edge(_Value):
    """A relation between two theses, from the one that speaks to the one that is spoken of; weight 0 to 1."""

    kind: EdgeKind
    source: str
    target: str
    weight: Probability
    since: date


class Event(_Value):
    """Something that happened to a thesis, in one sentence."""

    thesis_id: str
    kind: EventKind
    confidence: Probability
    sentence: str


class Reliability(_Value):
    """How often a source was right: sums over the theses that it spoke on and that ended confirmed or not."""

    theses: int = 0
    brier_sum: float = 0.0
    said_sum: float = 0.0
    right_sum: float = 0.0
    certain: int = 0


class Mind(_Value):
    """Everything that the thinking carries from one slot to the next: live theses, their edges, and the sources' records."""

    theses: tuple[Thesis, ...] = ()
    edges: tuple[Edge, ...] = ()
    reliability: Mapping[str, Reliability] = Field(default_factory=dict)

    def of(self, symbol: str, direction: Direction) -> Thesis | None:
        """The live thesis on a symbol in a direction."""
        return next((t for t in self.theses if t.symbol == symbol and t.direction == direction), None)


class Score(_Value):
    """A thesis at its end: did it come true, and how sure were those who spoke. Brier is (p - outcome) squared, 0 to 1."""

    thesis_id: str
    source: str
    symbol: str
    regime: str
    probability: Probability
    came_true: bool
    brier: Probability


class Voice(_Value):
    """What one agent's brief says of a symbol (or of MARKET): signal and confidence as it said them, and its weight in log-odds."""

    source: str
    symbol: str
    signal: Annotated[float, Field(ge=-1, le=1)]
    confidence: Probability
    weight: float


class Argued(_Value):
    """One piece of evidence that the strategist attaches to a thesis; code turns the bucket into log-odds."""

    source: str
    supports: bool
    bucket: Bucket


class ThesisUpdate(_Value):
    """What the strategist wants: a thesis formed, kept with new evidence, or given up. `related` names theses by symbol."""

    symbol: str
    direction: Direction
    action: Literal["hold", "give_up"]
    horizon: Horizon
    claim: str
    evidence: tuple[Argued, ...] = ()
    author: str = "rules"


class Stance(_Value):
    """The chief's word for the day: how much of the usual size, and which strategies may open."""

    stance: Literal["risk_on", "normal", "cautious", "stand_aside"]
    size_fraction: Annotated[float, Field(ge=0, le=1)]
    strategies: tuple[str, ...]
    reasons: tuple[str, ...]
    route: str
    model: str = ""
    leakage: str = "clean"
    answer_key: str = ""


class Silence(_Value):
    """An agent that did not answer for itself, and who answered for it."""

    agent: str
    symbol: str
    answered_by: str
    reason: str


class Case(_Value):
    """The bull's or the bear's case on one symbol: points that cite evidence, and how strong the whole is."""

    symbol: str
    side: Literal["bull", "bear"]
    strength: Probability
    points: tuple[str, ...]
    evidence: tuple[str, ...]
    route: str
    model: str = ""
    leakage: str = "clean"
    answer_key: str = ""


_SLOT = Column("slot", "text", "Decision time, New York HH:MM; HH:MM:SS for a look that an event caused.")
_THESIS = Column("thesis_id", "text", "The thesis.")

THESES = Table(
    name="theses",
    doc="A thesis as it stood after a slot; one that ended in the slot stands there for the last time.",
    key=("session", "slot", "thesis_id"),
    columns=(
        SESSION,
        _SLOT,
        _THESIS,
        SYMBOL,
        Column("direction", "text", "long or short."),
        Column("claim", "text", "One sentence."),
        Column("horizon", "text", "intraday, swing or position; it sets the half-life of evidence."),
        Column("formed", "day", "Session in which it was formed."),
        Column("expires", "day", "Last session in which it may come true."),
        Column("reference", "usd", "Price when it was formed, in today's share count, USD."),
        Column("target", "usd", "The price that proves it right, USD."),
        Column("invalidation", "usd", "It is wrong when a session closes beyond, USD."),
        Column("regime", "text", "The symbol's regime when it was formed."),
        Column("author", "text", "Who formed it: rules, or a model's route."),
        Column("confidence", "number", "0 to 1, from log-odds."),
        Column("confidence_formed", "number", "The same when it was formed."),
        Column("contributions", "text", "JSON: what each source last added, in log-odds, and when."),
        Column("status", "text", "active, weak, conflicted or ended."),
        Column("outcome", "text", "confirmed, invalidated, expired, delisted or given_up; empty while it lives."),
        KNOWABLE_AT,
    ),
)

THESIS_EVENTS = Table(
    name="thesis_events",
    doc="Something that happened to a thesis in a slot.",
    key=("session", "slot", "number"),
    columns=(
        SESSION,
        _SLOT,
        Column("number", "count", "Place among the slot's events."),
        _THESIS,
        SYMBOL,
        Column("kind", "text", "formed, reinforced, contradicted, conflict, cycle, or how it ended."),
        Column("confidence", "number", "Of the thesis after it, 0 to 1."),
        Column("sentence", "text", "What happened."),
        KNOWABLE_AT,
    ),
)

THESIS_EDGES = Table(
    name="thesis_edges",
    doc="A relation between two live theses after a slot.",
    key=("session", "slot", "kind", "source", "target"),
    columns=(
        SESSION,
        _SLOT,
        Column("kind", "text", "supports, contradicts, correlated, anti_correlated or ordered_as."),
        Column("source", "text", "Thesis that speaks."),
        Column("target", "text", "Thesis that is spoken of, or the plan that it became."),
        Column("weight", "number", "0 to 1."),
        Column("since", "day", "Session in which the relation was found."),
        KNOWABLE_AT,
    ),
)

THESIS_SCORES = Table(
    name="thesis_scores",
    doc="How sure a source was of a thesis that ended, and whether it came true.",
    key=("session", "slot", "thesis_id", "source"),
    columns=(
        SESSION,
        _SLOT,
        _THESIS,
        SYMBOL,
        Column("source", "text", "Agent or persona; thesis for the whole."),
        Column("regime", "text", "The symbol's regime when the thesis was formed."),
        Column("probability", "number", "What the source gave the thesis, 0 to 1."),
        Column("came_true", "flag", "It was confirmed."),
        Column("brier", "number", "(probability - outcome) squared, 0 to 1."),
        KNOWABLE_AT,
    ),
)

DEBATES = Table(
    name="debates",
    doc="The bull's or the bear's case on one symbol for the session, over a closed set of evidence.",
    key=("session", "symbol", "side"),
    columns=(
        SESSION,
        SYMBOL,
        Column("side", "text", "bull or bear."),
        Column("strength", "number", "How strong the case is, 0 to 1."),
        Column("points", "text", "JSON list of sentences."),
        Column("evidence", "text", "JSON list of citations: table, session, symbol, column, value."),
        *ORIGIN,
        KNOWABLE_AT,
    ),
)

STANCES = Table(
    name="stances",
    doc="The chief's stance of the day.",
    key=("session",),
    columns=(
        SESSION,
        Column("stance", "text", "risk_on, normal, cautious or stand_aside."),
        Column("size_fraction", "number", "Share of the usual size that new positions get, 0 to 1."),
        Column("strategies", "text", "JSON list of the strategies that may open."),
        Column("reasons", "text", "JSON list of sentences."),
        *ORIGIN,
        KNOWABLE_AT,
    ),
)

SILENCES = Table(
    name="silences",
    doc="An agent that a model should have answered for and did not: the rules stood in for it, or nobody did.",
    key=("session", "number"),
    columns=(
        SESSION,
        Column("number", "count", "Ascends in the order of the questions."),
        Column("agent", "text", "Whose question it was."),
        Column("symbol", "text", "Ticker, MARKET, or empty for a question about many."),
        Column("answered_by", "text", "rules, or a later route; empty where nobody answered."),
        Column("reason", "text", "Why each route before did not answer."),
        KNOWABLE_AT,
    ),
)

OPINIONS: tuple[Table, ...] = (ANALYST_BRIEFS, NARRATIVES, DEBATES, STANCES, SILENCES)
