"""Minds, lessons and proposals that the tests of the ledger store."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from tests.resources.ledger.entries import at, intent
from trading_assets.core.calendar import XNYS
from trading_assets.plans.model import Proposal
from trading_assets.theses.memory.model import Lesson
from trading_assets.theses.model import Contribution, Edge, Mind, Reliability, Thesis


def thesis(day: date, symbol: str = "AAA", number: int = 0) -> Thesis:
    """A live thesis with what two sources said of it."""
    return Thesis(
        id=f"t{number}-{symbol}",
        symbol=symbol,
        direction="long",
        claim="the trend goes on",
        horizon="swing",
        formed=day,
        formed_slot="09:30",
        formed_at=at(day),
        expires=day + timedelta(days=30),
        reference=Decimal("100.1234"),
        target=Decimal("110.0001"),
        invalidation=Decimal("95.25"),
        regime="trending_bull",
        author="rules",
        prior=0.1 + 0.2,
        contributions=(
            Contribution(source="technical", log_odds=0.1 + 0.7, at=at(day)),
            Contribution(source="news", log_odds=-1 / 3, at=at(day) - timedelta(days=1)),
        ),
        confidence_formed=0.6,
        confidence=2 / 3,
        as_of=at(day),
    )


def mind(day: date, number: int = 0) -> Mind:
    """Two theses, an edge between them, and what is known of two sources."""
    own, other = thesis(day, "AAA", number), thesis(day, "BBB", number)
    edge = Edge(kind="correlated", source=own.id, target=other.id, weight=0.8, since=day)
    known = {"technical": Reliability(theses=number, brier_sum=0.25 * number), "news": Reliability(certain=1)}
    return Mind(theses=(own, other), edges=(edge,), reliability=known)


def lesson(day: date, symbol: str = "AAA", trade: str = "", text: str = "The plan was followed.") -> Lesson:
    """What the trade of `entries.intent` taught, knowable at the session's close."""
    return Lesson(
        id=trade or intent(day, symbol).id,
        session=day,
        resolved_at=XNYS.session(day).close,
        symbol=symbol,
        strategy="momentum_breakout",
        regime="trending_bull",
        direction="long",
        thesis_id="t1",
        confidence=0.1 + 0.2,
        votes={"momentum-persona": 0.5, "contrarian-persona": -1 / 3},
        opened=day,
        sessions_held=1,
        exit_reason="target",
        pnl=Decimal("12.3456"),
        return_fraction=0.0123,
        r_multiple=1.5,
        grade="A",
        lesson=text,
    )


def proposal(moment: datetime, reason: str = "it is cheap") -> Proposal:
    """A trade that the operator asks for."""
    return Proposal(
        id=f"p-{moment:%Y%m%d%H%M%S}",
        at=moment,
        author="operator",
        symbol="AAA",
        side="long",
        strategy="pullback",
        reason=reason,
    )
