"""`desk status`."""

from typing import Any

from desk.halts import halts_shown
from desk.output import show
from desk.runner import prepare_home
from resources.desk import DeskResource
from resources.notify.pages import LedgerPages
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.slots import NoSlot, due_slot
from trading_assets.market.model import DAILY_BARS


def run_status(lane: str, *, as_json: bool) -> None:
    """What a person asks first: what time is it for the desk, what does it hold, may it trade, is the data fresh."""
    prepare_home()
    desk = DeskResource()
    now, decisions = desk.clock().now(), desk.settings().decisions
    due = due_slot(XNYS, decisions.slots, as_of=now, grace=decisions.grace)
    data: dict[str, Any] = {
        "book": lane,
        "clock": now.isoformat(),
        "due": due.reason if isinstance(due, NoSlot) else f"{due.session.key} {due.label}",
        **_book(desk, lane),
        **_data(desk),
    }
    show(data, as_json=as_json)


def _book(desk: DeskResource, lane: str) -> dict[str, Any]:
    halts = halts_shown(desk, lane)
    with desk.ledger(lane).reading() as ledger:
        close = ledger.latest_close(XNYS.last)
        decided = ledger.decisions(close.session, close.session) if close else []
    state = {"halt": "; ".join(halts) or "none", "pages": _pages(desk, lane)}
    if close is None:
        return {**state, "last_settled_session": "none"}
    return {
        **state,
        "last_settled_session": close.session.isoformat(),
        "slots_decided": len(decided),
        "equity_usd": str(close.equity),
        "cash_usd": str(close.book.cash),
        "positions": {symbol: position.quantity for symbol, position in sorted(close.book.positions.items())},
        "working_orders": sum(order.status == "working" for order in close.book.orders.values()),
    }


def _pages(desk: DeskResource, lane: str) -> str:
    waiting = len(LedgerPages(desk.engine(lane), lane).unanswered())
    return f"{waiting} wait for an answer; desk pages" if waiting else "none"


def _data(desk: DeskResource) -> dict[str, Any]:
    stored = desk.lake().versions(DAILY_BARS, Span(XNYS.first, XNYS.last))
    if not stored:
        return {"daily_bars": "none; desk ingest fetches them"}
    newest = max(stored)
    gate = desk.gates().gates(DAILY_BARS.name, Span(newest, newest)).get(newest)
    verdict = "not judged" if gate is None else "passed" if gate.passed else "; ".join(gate.failures)
    return {"daily_bars": f"{len(stored)} sessions, {min(stored)} to {newest}", "newest_gate": verdict}
