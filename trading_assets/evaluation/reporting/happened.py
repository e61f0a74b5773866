"""What happened: P&L beside every benchmark, what was decided and traded, and what did not go as it should."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import polars as pl

from trading_assets.core.ports import Span
from trading_assets.core.slots import is_between, slots_of
from trading_assets.evaluation.benchmark_model import BENCHMARK_NOTES, BENCHMARKS, COIN_LIVES
from trading_assets.evaluation.benchmarks.beside import Beside, Comparison, coin_sentence, compare
from trading_assets.evaluation.reporting.document import Block, Bullets, Grid, Line, Words
from trading_assets.evaluation.reporting.record import Happening, Record
from trading_assets.evaluation.reporting.words import NOISE, count, listed, number, usd
from trading_assets.evaluation.statistics import Interval
from trading_assets.execution.model import ACCOUNT, FILLS, ORDERS

HAPPENINGS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Standing:
    """A benchmark beside the book: what it earned in the period (USD and of its equity), and to date; None where unknown.

    `ahead` is what the book earned more, a year; `sentence` says why there is no number.
    """

    label: str
    pnl_usd: Decimal | None
    pnl_fraction: float | None
    return_fraction_to_date: float | None
    ahead: Interval | None
    sentence: str


@dataclass(frozen=True, slots=True)
class DayLine:
    """One settled session."""

    session: date
    pnl_usd: Decimal
    pnl_fraction: float
    decisions: int
    plans: int
    vetoes: int
    fills: int
    trades_closed: int
    positions: int
    fees_usd: Decimal


@dataclass(frozen=True, slots=True)
class Happened:
    """A period, USD. P&L is None where its last session has no settled account."""

    sessions: int
    sessions_settled: int
    pnl_usd: Decimal | None
    pnl_fraction: float | None
    equity_usd: Decimal | None
    return_fraction_to_date: float | None
    sessions_to_date: int
    slots_due: int
    slots_decided: int
    looks: int
    plans: int
    vetoes: int
    orders: int
    fills: int
    trades_closed: int
    trades_won: int
    fees_usd: Decimal
    dividends_usd: Decimal
    days: tuple[DayLine, ...]
    standings: tuple[Standing, ...]
    coin: str
    happenings: tuple[Happening, ...]
    gates_failed: tuple[str, ...]


def happened(record: Record) -> Happened:
    """Reads account, orders, fills, trades, benchmarks, gates and journal."""
    days = _days(record)
    settled = bool(days) and days[-1].session == record.period.last
    before = record.before[1]
    equity = record.read(ACCOUNT).sort("session")["equity"].to_list()[-1] if settled else None
    closed = record.trades.filter(pl.col("session").is_between(record.period.first, record.period.last))[
        "pnl"
    ].to_list()
    account = record.within(ACCOUNT)
    compared = compared_of(record) if settled else None
    slots, decided = record.rules.settings.decisions.slots, record.told.decided(_span(record))
    return Happened(
        sessions=len(record.period.sessions),
        sessions_settled=len(days),
        pnl_usd=None if equity is None else equity - before,
        pnl_fraction=None if equity is None or not before else float(equity / before) - 1,
        equity_usd=equity,
        return_fraction_to_date=compared.desk.return_fraction_to_date if compared else None,
        sessions_to_date=record.read(ACCOUNT).height,
        slots_due=sum(len(slots_of(session, slots)) for session in record.period.sessions),
        slots_decided=sum(not is_between(slot) for _, slot in decided),
        looks=sum(is_between(slot) for _, slot in decided),
        plans=sum(day.plans for day in days),
        vetoes=sum(day.vetoes for day in days),
        orders=record.within(ORDERS).height,
        fills=record.within(FILLS).height,
        trades_closed=len(closed),
        trades_won=sum(pnl > 0 for pnl in closed),
        fees_usd=sum((day.fees_usd for day in days), Decimal(0)),
        dividends_usd=sum(account["dividends"].to_list(), Decimal(0)),
        days=days,
        standings=tuple(_standing(record, each) for each in compared.others) if compared else (),
        coin=coin_sentence(compared.of("coin_flip")) if compared else "",
        happenings=tuple(record.told.happened(_span(record))),
        gates_failed=tuple(_failed_gates(record)),
    )


def compared_of(record: Record) -> Comparison:
    """The book beside its benchmarks, to date."""
    return record.once("comparison", lambda: _compared(record))


def _compared(record: Record) -> Comparison:
    rows, lives, notes = (record.read(table) for table in (BENCHMARKS, COIN_LIVES, BENCHMARK_NOTES))
    return compare(record.read(ACCOUNT), record.trades, rows, lives, notes, starting_cash=record.starting_cash)


def tell_happened(found: Happened, record: Record) -> Iterator[Block]:
    """The part in words, tables and lists."""
    yield Words(_traded(found))
    if record.period.kind == "week" and found.days:
        yield _days_grid(found.days)
    if found.standings:
        yield _standings_grid(found, record.period.kind)
        if found.coin:
            yield Words(found.coin, quiet=True)
    yield Bullets(tuple(_wrong(found)))


def summary(found: Happened, record: Record) -> str:
    """The whole period in one sentence, under the title."""
    what = "week" if record.period.kind == "week" else "session"
    if found.pnl_usd is None or found.equity_usd is None:
        return f"The book has no settled account for {record.period.last}; what is on record stands below."
    fraction = "" if found.pnl_fraction is None else f" ({found.pnl_fraction:+.2%})"
    todate = found.return_fraction_to_date
    since = "" if todate is None else f", {todate:+.2%} since it began {count(found.sessions_to_date, 'session')} ago"
    return f"The {what} made {usd(found.pnl_usd)} USD{fraction}. The book stands at {found.equity_usd:,.2f} USD{since}."


def _days(record: Record) -> tuple[DayLine, ...]:
    equity, lines = record.before[1], []
    fills, trades = (_by_day(record.within(FILLS)), _by_day(record.trades))
    for row in record.within(ACCOUNT).sort("session").iter_rows(named=True):
        day, now = row["session"], row["equity"]
        lines.append(
            DayLine(
                session=day,
                pnl_usd=now - equity,
                pnl_fraction=float(now / equity) - 1 if equity else 0.0,
                decisions=row["decisions"],
                plans=row["plans"],
                vetoes=row["vetoes"],
                fills=fills.get(day, 0),
                trades_closed=trades.get(day, 0),
                positions=row["positions"],
                fees_usd=row["fees"],
            )
        )
        equity = now
    return tuple(lines)


def _by_day(rows: pl.DataFrame) -> dict[date, int]:
    return dict(rows.group_by("session").len().iter_rows())


def _standing(record: Record, beside: Beside) -> Standing:
    rows = record.read(BENCHMARKS).filter(pl.col("name") == beside.name).sort("session")
    earlier = rows.filter(pl.col("session") < record.period.first).tail(1)
    at_last = rows.filter(pl.col("session") == record.period.last)
    before = earlier[0, "equity"] if earlier.height else record.starting_cash
    now = at_last[0, "equity"] if at_last.height else None
    return Standing(
        label=beside.label,
        pnl_usd=None if now is None else now - before,
        pnl_fraction=None if now is None or not before else float(now / before) - 1,
        return_fraction_to_date=beside.measures.return_fraction_to_date if beside.measures else None,
        ahead=beside.desk_ahead,
        sentence=beside.sentence if beside.state != "made" else "",
    )


def _failed_gates(record: Record) -> Iterator[str]:
    for gate in record.told.gates(_span(record)):
        if not gate.passed:
            yield f"{gate.session} {gate.table}: {'; '.join(gate.failures) or 'failed'}"


def _span(record: Record) -> Span:
    return Span(record.period.first, record.period.last)


def _traded(found: Happened) -> str:
    won = f", {found.trades_won} of them won" if found.trades_closed else ""
    looks = f", {count(found.looks, 'look')} between them" if found.looks else ""
    return (
        f"{found.slots_decided} of {count(found.slots_due, 'slot')} decided{looks}, {count(found.plans, 'plan')}, "
        f"{count(found.vetoes, 'veto', 'vetoes')}, {count(found.orders, 'order')}, {count(found.fills, 'fill')}; "
        f"{count(found.trades_closed, 'trade')} closed{won}. "
        f"Fees {found.fees_usd:,.2f} USD, dividends {found.dividends_usd:,.2f} USD."
    )


def _days_grid(days: Sequence[DayLine]) -> Grid:
    columns = ("Session", "P&L, USD", "P&L, %", "Slots", "Plans", "Vetoes", "Fills", "Closed", "Held", "Fees, USD")
    rows = (
        (
            f"{day.session:%a %Y-%m-%d}",
            usd(day.pnl_usd),
            f"{day.pnl_fraction:+.2%}",
            *map(str, (day.decisions, day.plans, day.vetoes, day.fills, day.trades_closed, day.positions)),
            f"{day.fees_usd:,.2f}",
        )
        for day in days
    )
    return Grid(columns, tuple(rows))


def _standings_grid(found: Happened, kind: str) -> Grid:
    columns = (
        "Against",
        f"This {kind}, USD",
        f"This {kind}, %",
        "Since the book began",
        "Desk ahead, a year",
        "95 % interval",
        "Reading",
    )
    desk = (
        "the desk itself",
        usd(found.pnl_usd),
        number(found.pnl_fraction, "{:+.2%}"),
        number(found.return_fraction_to_date, "{:+.2%}"),
        "",
        "",
        f"n = {count(found.sessions_to_date, 'session')}",
    )
    return Grid(columns, (desk, *map(_standing_row, found.standings)), text=(0, 6))


def _standing_row(one: Standing) -> tuple[str, ...]:
    ahead, between = ("", "") if one.ahead is None else _ahead(one.ahead)
    return (
        one.label,
        usd(one.pnl_usd),
        number(one.pnl_fraction, "{:+.2%}"),
        number(one.return_fraction_to_date, "{:+.2%}"),
        ahead,
        between,
        one.sentence or _reading(one.ahead),
    )


def _ahead(interval: Interval) -> tuple[str, str]:
    return f"{interval.mean:+.1%}", f"{interval.low:+.1%} to {interval.high:+.1%}"


def _reading(ahead: Interval | None) -> str:
    if ahead is None:
        return "too few sessions to compare"
    if ahead.low == ahead.high == 0:
        return "earned the same in every session"
    if ahead.above_zero or ahead.below_zero:
        return f"the desk earned {'more' if ahead.above_zero else 'less'}"
    return NOISE


def _wrong(found: Happened) -> Iterator[Line]:
    """What a trader must not overlook; one line that says so where there is nothing."""
    told = found.happenings
    for one in told[:HAPPENINGS_SHOWN]:
        yield Line(f"{one.session}: {one.sentence}", strong=one.kind)
    if len(told) > HAPPENINGS_SHOWN:
        yield Line(f"and {len(told) - HAPPENINGS_SHOWN} more in the journal", command="desk journal")
    for sentence in found.gates_failed[:HAPPENINGS_SHOWN]:
        yield Line(sentence, strong="failed data gate")
    if found.slots_decided < found.slots_due:
        missing = found.slots_due - found.slots_decided
        yield Line(f"{missing} of {count(found.slots_due, 'slot')} have no decision", strong="undecided")
    if found.sessions_settled < found.sessions:
        sessions = found.sessions - found.sessions_settled
        yield Line(
            f"{count(sessions, 'session')} of {found.sessions} without a settled account",
            strong="unsettled",
            command="desk run postclose",
        )
    if not (
        told or found.gates_failed or found.slots_decided < found.slots_due or found.sessions_settled < found.sessions
    ):
        yield Line(listed(("No halt", "no missed part", "no failed gate in the period")) + ".")
