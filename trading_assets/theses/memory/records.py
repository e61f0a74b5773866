"""What closed trades amount to: the record of a strategy in a regime, the past of a regime, and lessons as rows of the lake.

Few trades say little, so every mean is that of the trades together with `PRIOR_TRADES` imagined ones which earned nothing and won
half of the time: no record looks good for having one trade.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from trading_assets.theses.memory.model import Lesson
from trading_assets.theses.memory.recall import ROUNDING, known_by

PRIOR_TRADES = 10
CHANGES_SHOWN = 5
_PLACES = 6
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """A record of closed trades. All but `n` and `wins` are shrunk towards nothing; see the module.

    Args:
        n: Trades.
        wins: Trades that earned something.
        win_rate: 0 to 1.
        mean_return: Per trade, as a fraction of what the entry cost.
        sharpe_proxy: Mean return over its deviation, per trade and not per year; None where fewer than two trades differ.
        reward_to_risk: The mean win over the mean loss; None without trades, or where none moved.
        expectancy: Mean of P&L over planned risk (R) per trade; None where no trade had a planned risk.
    """

    n: int
    wins: int
    win_rate: float
    mean_return: float
    sharpe_proxy: float | None
    reward_to_risk: float | None
    expectancy: float | None


def track_record(
    lessons: Sequence[Lesson], *, as_of: datetime, strategy: str | None = None, regime: str | None = None
) -> TrackRecord:
    """The record of a strategy in a regime as it was known at an instant; None stands for any."""
    mine = [
        lesson
        for lesson in known_by(lessons, as_of)
        if strategy in {None, lesson.strategy} and regime in {None, lesson.regime}
    ]
    returns = [lesson.return_fraction for lesson in mine]
    wins = sum(value > 0 for value in returns)
    mean = math.fsum(returns) / (len(returns) + PRIOR_TRADES)
    risked = [lesson.r_multiple for lesson in mine if lesson.r_multiple is not None]
    return TrackRecord(
        n=len(returns),
        wins=wins,
        win_rate=round((wins + PRIOR_TRADES / 2) / (len(returns) + PRIOR_TRADES), _PLACES),
        mean_return=round(mean, _PLACES),
        sharpe_proxy=_sharpe(returns, mean),
        reward_to_risk=_reward_to_risk(returns),
        expectancy=round(math.fsum(risked) / (len(risked) + PRIOR_TRADES), _PLACES) if risked else None,
    )


def track_records(lessons: Sequence[Lesson], *, as_of: datetime) -> Mapping[tuple[str, str], TrackRecord]:
    """The record of each strategy and regime that has one, sorted."""
    pairs = sorted({(lesson.strategy, lesson.regime) for lesson in known_by(lessons, as_of)})
    return {pair: track_record(lessons, strategy=pair[0], regime=pair[1], as_of=as_of) for pair in pairs}


@dataclass(frozen=True, slots=True)
class RegimePast:
    """How long a regime lasts already, and what came before it: (session, regime from then on), oldest first."""

    symbol: str
    regime: str
    sessions: int
    changes: tuple[tuple[date, str], ...]


def regime_history(
    rows: Iterable[Row], *, symbol: str, as_of: datetime, limit: int = CHANGES_SHOWN
) -> RegimePast | None:
    """The past of one symbol's regime from rows of REGIME_LABELS; None where no label was knowable.

    `sessions` counts those with the newest regime in a row, as far back as the rows reach.
    """
    known = sorted(
        (row["session"], row["regime"]) for row in rows if row["symbol"] == symbol and row["knowable_at"] <= as_of
    )
    if not known:
        return None
    changes = [pair for before, pair in zip([("", ""), *known], known, strict=False) if before[1] != pair[1]]
    began = changes[-1][0]
    lasted = sum(session >= began for session, _ in known)
    return RegimePast(symbol, known[-1][1], lasted, tuple(changes[-limit:]))


def lesson_rows(lessons: Sequence[Lesson]) -> list[dict[str, object]]:
    """The lessons as rows of LESSONS."""
    return [
        {
            **lesson.model_dump(exclude={"id", "resolved_at", "votes"}),
            "lesson_id": lesson.id,
            "votes": json.dumps(dict(sorted(lesson.votes.items()))),
            "knowable_at": lesson.resolved_at,
        }
        for lesson in lessons
    ]


def lessons_from_rows(rows: Sequence[Row]) -> tuple[Lesson, ...]:
    """The inverse of `lesson_rows`; a row that is not a lesson is an error."""
    return tuple(
        Lesson(
            **{name: value for name, value in row.items() if name not in {"lesson_id", "votes", "knowable_at"}},
            id=row["lesson_id"],
            votes=json.loads(row["votes"]),
            resolved_at=row["knowable_at"],
        )
        for row in rows
    )


def _sharpe(returns: Sequence[float], mean: float) -> float | None:
    """The shrunk mean over the deviation of the trades themselves."""
    if len(returns) < 2:
        return None
    own = math.fsum(returns) / len(returns)
    deviation = math.sqrt(math.fsum((value - own) ** 2 for value in returns) / (len(returns) - 1))
    return round(mean / deviation, _PLACES) if deviation > ROUNDING else None


def _reward_to_risk(returns: Sequence[float]) -> float | None:
    """The mean win over the mean loss, each with half of the imagined trades, which move as much as the mean trade does."""
    moved = math.fsum(abs(value) for value in returns) / len(returns) if returns else 0.0
    if moved == 0:
        return None
    wins = [value for value in returns if value > 0]
    losses = [-value for value in returns if value <= 0]
    half = PRIOR_TRADES / 2
    won, lost = ((math.fsum(side) + half * moved) / (len(side) + half) for side in (wins, losses))
    return round(won / lost, _PLACES)
