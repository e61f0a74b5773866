"""The proof that day strategies are flat after the close: in the book, and at the broker where there is one.

A position belongs to a day strategy when the newest entry of its symbol that filled had a plan that ends with the session; the
watchdog judges by the same rule. What the broker has not told since the close is unknown, and unknown is not flat.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from trading_assets.core.calendar import Session
from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table

FLATNESS = Table(
    name="flatness",
    doc="A symbol that a day strategy traded in the session or still holds: whether it was flat after the close.",
    key=("session", "symbol"),
    columns=(
        SESSION,
        SYMBOL,
        Column("strategy", "text", "Strategy of the newest entry that filled."),
        Column("entered", "day", "Session of that entry."),
        Column("shares_book", "number", "Shares that the book holds after the close; negative when owed."),
        Column(
            "shares_broker",
            "number",
            "Shares that the broker told after the close; none where there is no broker.",
            True,
        ),
        Column("is_flat", "flag", "Neither holds any; false as well where a broker has not told since the close."),
        Column("why", "text", "What is wrong; empty when flat."),
        KNOWABLE_AT,
    ),
)
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class DayEntry:
    """The newest entry of a symbol that filled, when it was for the day alone."""

    symbol: str
    strategy: str
    session: date


@dataclass(frozen=True, slots=True)
class Told:
    """What a broker said last: when, and shares by symbol."""

    at: datetime
    shares: Mapping[str, Decimal]


def flatness_rows(
    session: Session, entries: Sequence[DayEntry], book: Mapping[str, Decimal], told: Told | None, *, asks_broker: bool
) -> list[Row]:
    """Rows of FLATNESS for one session: entries of the session itself, and whatever older ones left behind.

    Args:
        entries: By symbol at most one.
        book: Shares that the book holds after the close.
        asks_broker: Whether a broker has to confirm it; then `told` must be from after the close.
    """
    rows = []
    for entry in sorted(entries, key=lambda each: each.symbol):
        mine = book.get(entry.symbol, Decimal(0))
        fresh = told is not None and told.at >= session.close
        theirs = told.shares.get(entry.symbol, Decimal(0)) if told is not None and fresh and asks_broker else None
        if entry.session != session.day and not mine and not theirs:
            continue
        why = "; ".join(_wrong(session, mine, theirs, asks_broker=asks_broker))
        rows.append(
            {
                "session": session.day,
                "symbol": entry.symbol,
                "strategy": entry.strategy,
                "entered": entry.session,
                "shares_book": float(mine),
                "shares_broker": None if theirs is None else float(theirs),
                "is_flat": not why,
                "why": why,
                "knowable_at": session.close,
            }
        )
    return rows


def day_entries(
    filled: Sequence[tuple[str, str, date]], plans: Mapping[str, tuple[str, bool]], until: date
) -> tuple[DayEntry, ...]:
    """Of each symbol the newest entry that filled up to a session, if its plan ends with the session.

    Args:
        filled: Symbol, intent and session of fills that opened or enlarged, in the order in which they happened.
        plans: By intent, strategy and whether its plan ends with the session.
    """
    newest: dict[str, tuple[str, date]] = {}
    for symbol, intent_id, day in filled:
        if day <= until and intent_id in plans:
            newest[symbol] = (intent_id, day)
    return tuple(
        DayEntry(symbol, plans[intent_id][0], day)
        for symbol, (intent_id, day) in sorted(newest.items())
        if plans[intent_id][1]
    )


def violations(rows: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    """A sentence for each position of a day strategy that is not proven flat."""
    return tuple(
        f"{row['symbol']} ({row['strategy']}, {row['session']}): {row['why']}" for row in rows if not row["is_flat"]
    )


def _wrong(session: Session, mine: Decimal, theirs: Decimal | None, *, asks_broker: bool) -> list[str]:
    told = []
    if mine != 0:
        told.append(f"the book holds {mine:f}")
    if asks_broker and theirs is None:
        told.append(f"the broker has told nothing since the close of {session.day}")
    elif theirs is not None and theirs != 0:
        told.append(f"the broker holds {theirs:f}")
    return told
