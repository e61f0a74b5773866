"""What the bus is told of a session's labels: which confirmed regimes are others than in the session before."""

from collections.abc import Iterable, Mapping
from typing import Any

from trading_assets.core.calendar import Session
from trading_assets.core.messages import Draft, RegimeChanged

SENDER = "regimes"
BOOK = "desk"


def regime_drafts(
    labels: Iterable[Mapping[str, Any]], before: Iterable[Mapping[str, Any]], session: Session
) -> tuple[Draft, ...]:
    """One message for each symbol, or MARKET, whose regime changed; a symbol without a label before has not changed.

    Args:
        labels: Rows of REGIME_LABELS of the session.
        before: Those of the session before it.
    """
    earlier = {row["symbol"]: str(row["regime"]) for row in before}
    now = {row["symbol"]: str(row["regime"]) for row in labels}
    return tuple(
        Draft(
            book=BOOK,
            session=session.day,
            at=session.close,
            sender=SENDER,
            payload=RegimeChanged(symbol=symbol, before=earlier[symbol], after=regime),
            correlation_id=f"regime/{symbol}/{session.key}",
        )
        for symbol, regime in sorted(now.items())
        if symbol in earlier and earlier[symbol] != regime
    )
