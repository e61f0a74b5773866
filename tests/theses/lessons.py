"""Lessons of made-up trades, for the tests of what is remembered."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from trading_assets.core.calendar import XNYS
from trading_assets.theses.memory.model import Lesson

SESSIONS = XNYS.days[6000:6400]
SYMBOLS = ("AAA", "BBB", "CCC")
STRATEGIES = ("pullback", "mean_reversion")
REGIMES = ("trending_bull", "range")
TEXT = "The decision was sound and paid: act alike when as much agrees."


def close(day: int) -> datetime:
    """The close of the session of that number."""
    return XNYS.session(SESSIONS[day]).close


def lesson(
    number: int,
    day: int = 0,
    *,
    earned: float = 0.01,
    symbol: str = "AAA",
    strategy: str = "pullback",
    regime: str = "trending_bull",
    r_multiple: float | None = None,
    votes: Mapping[str, float] | None = None,
    text: str = TEXT,
) -> Lesson:
    """What a trade that closed on a day taught."""
    return Lesson(
        id=f"trade{number:04d}",
        session=SESSIONS[day],
        resolved_at=close(day),
        symbol=symbol,
        strategy=strategy,
        regime=regime,
        direction="long",
        thesis_id="t1",
        confidence=0.6,
        votes=votes or {},
        opened=SESSIONS[day] - timedelta(days=1),
        sessions_held=2,
        exit_reason="target",
        pnl=Decimal(str(round(earned * 1000, 4))),
        return_fraction=earned,
        r_multiple=r_multiple,
        grade="B",
        lesson=text,
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[Lesson, ...]:
    """Up to twenty trades over half a year, with returns that may repeat."""
    returns = st.one_of(st.sampled_from((0.0, 0.01, -0.01)), st.floats(-0.2, 0.2))
    return tuple(
        lesson(
            number,
            draw(st.integers(0, 120)),
            earned=draw(returns),
            symbol=draw(st.sampled_from(SYMBOLS)),
            strategy=draw(st.sampled_from(STRATEGIES)),
            regime=draw(st.sampled_from(REGIMES)),
            r_multiple=draw(st.none() | st.floats(-3, 3)),
        )
        for number in range(draw(st.integers(0, 20)))
    )
