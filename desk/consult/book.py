"""Look-ups of what the desk holds, planned, refused, traded, learnt and spent, and of the limits that it works under."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from desk.consult.market import Rows
from desk.consult.reading import Arguments, Desk, Found, Look, Record, found, row, sentences, told
from resources.clock import RealClock
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import KINDS, EntryKind
from trading_assets.core.settings import Symbol
from trading_assets.core.tables import Table
from trading_assets.execution.model import FILLS, TRADES
from trading_assets.plans.guide import Row
from trading_assets.plans.model import TRADE_PLANS, VOTES
from trading_assets.signatures.model import VERDICTS
from trading_assets.theses.memory.model import Lesson
from trading_assets.theses.memory.recall import short_term
from trading_assets.theses.memory.records import track_records
from trading_assets.theses.model import STANCES, THESES, THESIS_EVENTS

_ACTIONS = ("enter", "add", "trim", "exit")
_DAY = timedelta(days=1)


class OfBook(Arguments):
    """One symbol or all, in one session or the newest."""

    symbol: Symbol | None = None
    session: date | None = None
    rows: Rows = 15


class Planned(OfBook):
    """The same, of one action: enter, add, trim or exit."""

    kind: str | None = None


class Past(Arguments):
    """The newest of one symbol, or of all."""

    symbol: Symbol | None = None
    rows: Rows = 10


class Entries(OfBook):
    """The same, of one kind of entry."""

    kind: str | None = None
    rows: Rows = 10


class Spent(Arguments):
    """A day in New York; without one, today by the machine's clock, by which money is spent."""

    session: date | None = None


class Nothing(Arguments):
    """No argument."""


def account(desk: Desk, _: Nothing) -> Found:
    """Cash, equity and positions at the newest close, and the open halt."""
    with desk.ledger() as ledger:
        close, halt = ledger.latest_close(desk.closed + _DAY), ledger.open_halt()
    halted = f"halted: {halt.cause}" if halt and halt.at <= desk.now else "not halted"
    if close is None:
        return Found((), f"no session of book {desk.lane} is settled yet; {halted}")
    prices = close.prices
    rows = [
        row({"session": close.session, "equity": close.equity, "cash": close.book.cash}, "session", "equity", "cash")
    ]
    for symbol, held in sorted(close.book.positions.items()):
        value = held.quantity * prices[symbol]
        cells = {"symbol": symbol, "quantity": held.quantity, "cost": held.cost, "close": prices[symbol]}
        cells |= {"value": value, "unrealised": value - held.cost}
        rows.append(row(cells, *cells))
    return found(rows, empty="", note=f"USD at the close; {halted}")


def plans(desk: Desk, wanted: Planned) -> Found:
    """Plans with their reasons, and what the signers ruled on each."""
    if wanted.kind not in (None, *_ACTIONS):
        raise PermanentFailure("plans are of one of these kinds", value=wanted.kind, bound=", ".join(_ACTIONS))
    held = _of_lane(desk, wanted, TRADE_PLANS, lambda each: wanted.kind in (None, each["action"]))
    sessions = {each["session"] for each in held}
    ruled = desk.rows(VERDICTS, first=min(sessions), last=max(sessions)) if sessions else []
    return found([_plan(each, ruled) for each in held], most=wanted.rows, empty=_none(desk, "plan", wanted))


def vetoes(desk: Desk, wanted: OfBook) -> Found:
    """Plans that were refused or made smaller, with the controls and their sentences."""
    held = _of_lane(desk, wanted, VERDICTS, lambda each: each["ruling"] != "approve")
    columns = ("session", "slot", "symbol", "strategy", "signer", "ruling", "quantity", "controls")
    shown = [row(each, *columns, quoted=(sentences(each["reasons"]),)) for each in held]
    return found(shown, most=wanted.rows, empty=_none(desk, "veto", wanted))


def votes(desk: Desk, wanted: OfBook) -> Found:
    """How the personas voted, what each counted, and what became of it."""
    held = _of_lane(desk, wanted, VOTES)
    columns = ("session", "slot", "persona", "strategy", "symbol", "side", "vote", "weight", "consensus", "outcome")
    shown = [row(each, *columns, quoted=(each["reason"],)) for each in held]
    return found(shown, most=wanted.rows, empty=_none(desk, "vote", wanted))


def theses(desk: Desk, wanted: OfBook) -> Found:
    """Theses as they stood after the newest slot, and what happened to them there."""
    held = _of_lane(desk, wanted, THESES)
    slot = max((each["slot"] for each in held), default="")
    columns = ("session", "slot", "symbol", "direction", "horizon", "confidence", "status", "outcome")
    more = ("reference", "target", "invalidation", "formed", "expires", "thesis_id")
    shown = [row(each, *columns, *more, quoted=(each["claim"],)) for each in held if each["slot"] == slot]
    events = _of_lane(desk, wanted, THESIS_EVENTS, lambda each: not held or each["session"] == held[0]["session"])
    about = ("session", "slot", "symbol", "kind", "confidence")
    shown += [row(each, *about, quoted=(each["sentence"],)) for each in events]
    return found(shown, most=wanted.rows, empty=_none(desk, "thesis", wanted), note="USD, confidence 0 to 1")


def stance(desk: Desk, wanted: Spent) -> Found:
    """The chief's word for the day."""
    held = desk.newest(STANCES, session=wanted.session)
    columns = ("session", "stance", "size_fraction", "strategies", "route")
    shown = [row(each, *columns, quoted=(sentences(each["reasons"]),)) for each in held]
    return found(shown, empty="no stance is known")


def fills(desk: Desk, wanted: OfBook) -> Found:
    """What was bought and sold."""
    held = _of_lane(desk, wanted, FILLS)
    columns = ("session", "at", "symbol", "side", "role", "quantity", "price", "fee", "reason", "strategy")
    return found([row(each, *columns) for each in held], most=wanted.rows, empty=_none(desk, "fill", wanted))


def trades(desk: Desk, wanted: Past) -> Found:
    """Closed trades, the newest first."""
    held = desk.rows(TRADES, symbols=[wanted.symbol] if wanted.symbol else None)[::-1]
    columns = ("session", "symbol", "strategy", "opened", "quantity", "entry_price", "exit_price", "exit_reason")
    more = ("pnl", "return_fraction", "r_multiple", "sessions_held")
    total = f"{len(held)} closed trades, {told(sum(each['pnl'] for each in held))} USD in all" if held else ""
    shown = [row(each, *columns, *more) for each in held]
    return found(shown, most=wanted.rows, empty=f"book {desk.lane} has no closed trade", note=total)


def lessons(desk: Desk, wanted: Past) -> Found:
    """What closed trades taught, the newest first."""
    with desk.ledger() as ledger:
        known = ledger.lessons(desk.now)
    held = (
        short_term(known, symbol=wanted.symbol, as_of=desk.now, limit=wanted.rows)
        if wanted.symbol
        else tuple(reversed(known))
    )
    columns = ("session", "symbol", "strategy", "regime", "direction", "grade", "pnl", "return_fraction", "exit_reason")
    shown = [row(lesson.model_dump(), *columns, quoted=(lesson.lesson,)) for lesson in held]
    note = "" if wanted.symbol else _records(known, desk.now)
    return found(shown, most=wanted.rows, empty=f"book {desk.lane} has learnt no lesson yet", note=note)


def _records(known: Sequence[Lesson], now: datetime) -> str:
    """What each strategy earned in each regime, shrunk towards nothing."""
    told = (
        f"{strategy} in {regime}: {record.n} trades, win rate {record.win_rate:.2f}, {_expected(record.expectancy)}"
        for (strategy, regime), record in track_records(known, as_of=now).items()
    )
    return "; ".join(told)


def _expected(expectancy: float | None) -> str:
    return "no planned risk" if expectancy is None else f"{expectancy:+.2f} R a trade"


def journal(desk: Desk, wanted: Entries) -> Found:
    """Entries of the journal of one session, or of the newest, up to now."""
    from resources.ledger.journal import newest_session, read_journal

    session = wanted.session
    if session is None:
        newest = newest_session(desk.engine())
        session = min(newest, desk.today) if newest else desk.today
    records = read_journal(
        desk.engine(), first=session, last=session, kind=_kind(wanted.kind), symbol=wanted.symbol, book=desk.lane
    )
    entries = [record.entry for record in records if record.entry.at <= desk.now]
    shown = [
        row(
            {"session": each.session, "at": each.at, "kind": each.kind, "symbol": each.symbol},
            *("session", "at", "kind", "symbol"),
            quoted=(each.title, json.dumps(each.body, ensure_ascii=False) if each.body else ""),
        )
        for each in entries
    ]
    return found(shown, most=wanted.rows, empty=f"the journal of book {desk.lane} has no such entry on {session}")


def costs(desk: Desk, wanted: Spent) -> Found:
    """What models cost on a day, by skill, whichever lane they were asked for, and what the desk may still spend."""
    from resources.ledger import spending
    from resources.ledger.costs import pockets

    day = wanted.session or RealClock().now().astimezone(NEW_YORK).date()
    cap, pocket = desk.resource.reasoning().budget.day_usd, f"day:desk:{day}"
    with desk.accounts() as connection:
        total, by_skill = spending.total(connection, day, day), spending.sums(connection, day, day, "skill")
        spent = pockets(connection, [pocket])[pocket].spent_usd
    rows = [_spent({"day": day, "all": "skills"}, total)]
    rows += [_spent({"skill": each.name}, each) for each in by_skill]
    return found(rows, empty="", note=f"the desk lane spent {told(spent)} of {cap} USD that the day allows")


def limits(desk: Desk, _: Nothing) -> Found:
    """The operator's limits, the strategies, the quorum and the slots; nobody but the operator changes them."""
    rules = desk.resource.rules(desk.lane)
    decisions, agents = rules.settings.decisions, rules.agents
    rows = [Row(cells=f"{name}={told(value)}") for name, value in rules.preferences.model_dump().items()]
    rows = [Row(cells=" ".join(each.cells for each in rows[at : at + 4])) for at in range(0, len(rows), 4)]
    rows.append(Row(cells=f"symbols={','.join(desk.symbols)}"))
    rows.append(Row(cells=f"strategies={','.join(decisions.strategies)} slots={','.join(decisions.slots)}"))
    quorum = f"analysts_min={agents.quorum.analysts_min} personas_min={agents.quorum.personas_min}"
    rows.append(Row(cells=f"{quorum} consensus_min={told(agents.consensus_min)}"))
    return found(rows, empty="", note="fractions are of equity unless the name says otherwise")


def _of_lane(
    desk: Desk, wanted: OfBook, table: Table, fits: Callable[[Record], bool] = lambda _: True
) -> list[dict[str, Any]]:
    """The lane's rows of one session that fit, or of the newest session that has such rows."""
    return desk.newest(table, session=wanted.session, symbols=[wanted.symbol] if wanted.symbol else None, fits=fits)


def _plan(each: Record, ruled: list[dict[str, Any]]) -> Row:
    verdicts = [one for one in ruled if (one["session"], one["plan_id"]) == (each["session"], each["plan_id"])]
    said = "; ".join(f"{one['signer']} {one['ruling']} {sentences(one['reasons'])}".strip() for one in verdicts)
    columns = ("session", "slot", "action", "side", "symbol", "strategy", "regime", "quantity", "reference", "entry")
    more = ("stop", "target", "confidence", "consensus", "thesis_id", "plan_id")
    return row(each, *columns, *more, quoted=(sentences(each["reasons"]), said))


def _spent(named: Record, each: Any) -> Row:
    usage = {"calls": each.calls, "failed": each.failed, "usd": f"{each.cost_usd.normalize():f}"}
    usage |= {"list_usd": f"{each.shadow_usd.normalize():f}", "tokens_in": each.usage.input_tokens}
    usage |= {"tokens_out": each.usage.output_tokens}
    return row({**named, **usage}, *named, *usage)


def _kind(kind: str | None) -> EntryKind | None:
    for known in KINDS:
        if kind == known:
            return known
    if kind is not None:
        raise PermanentFailure("there is no such kind of journal entry", value=kind, bound=", ".join(KINDS))
    return None


def _none(desk: Desk, what: str, wanted: OfBook) -> str:
    of = f" of {wanted.symbol}" if wanted.symbol else ""
    when = f" in session {wanted.session}" if wanted.session else ""
    return f"book {desk.lane} has no {what}{of}{when}"


BOOK_TOOLS: Mapping[str, Look[Any]] = {
    "account": Look("cash, equity, positions and the open halt", Nothing, account),
    "plans": Look("trade plans with reasons and verdicts; kind: enter, add, trim, exit", Planned, plans),
    "vetoes": Look("plans refused or made smaller, and why", OfBook, vetoes),
    "votes": Look("how the personas voted", OfBook, votes),
    "theses": Look("theses with confidence, levels and what happened to them", OfBook, theses),
    "stance": Look("the chief's stance of the day", Spent, stance),
    "fills": Look("what was bought and sold", OfBook, fills),
    "trades": Look("closed trades with profit", Past, trades),
    "lessons": Look("what closed trades taught", Past, lessons),
    "journal": Look("the journal; kind: decision, veto, order, fill, settlement, halt, note …", Entries, journal),
    "costs": Look("what models cost on a day", Spent, costs),
    "limits": Look("the operator's limits, strategies, symbols and slots", Nothing, limits),
}
