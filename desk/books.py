"""Which book a command shows when none is named."""

from datetime import date
from pathlib import Path

from resources.desk import BACKTEST, DESK, DeskResource


def shown_book(lane: str | None) -> str:
    """The named book; without a name the desk's own, or the backtest's where the desk has not decided anything yet."""
    if lane:
        return lane
    desk = DeskResource()
    return BACKTEST if not _decided(desk, DESK) and _decided(desk, BACKTEST) else DESK


def _decided(desk: DeskResource, lane: str) -> bool:
    where = desk.ledger_at(lane)
    if isinstance(where, Path) and not where.exists():
        return False
    with desk.ledger(lane).reading() as ledger:
        return bool(ledger.decisions(date.min, date.max))
