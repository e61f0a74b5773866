"""One number for each session: what experiments compare.

A trade counts for the session that opened it, because that session's arm chose its size, stop and target. Its result is known when
it is closed; sessions are therefore final only up to the first one with a trade still open. To count the closed ones of later
sessions would count stopped trades before patient ones.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.ids import short_id
from trading_assets.core.ports import Lake
from trading_assets.evaluation.experiments.model import MeasureName
from trading_assets.execution.model import ACCOUNT, FILLS, POSITIONS, TRADES
from trading_assets.plans.model import TRADE_PLANS

if TYPE_CHECKING:
    import polars as pl

_BASIS_POINTS = 10_000.0
_DECIMALS = 6
Values = dict[date, float]


@dataclass(frozen=True, slots=True)
class Record:
    """A book's own tables up to a session, the session, and by intent the last price that its decision knew, USD."""

    last: date
    account: "pl.DataFrame"
    trades: "pl.DataFrame"
    fills: "pl.DataFrame"
    positions: "pl.DataFrame"
    references: Mapping[str, float]

    @classmethod
    def read(cls, lake: Lake, book: str, last: date) -> "Record":
        """What the lake knew at the session's close."""
        as_of = XNYS.session(last).close
        plans = lake.read(TRADE_PLANS, as_of=as_of, lane=book, last=last).select("plan_id", "reference")
        references = {short_id(book, plan): float(reference) for plan, reference in plans.rows()}
        account, trades, fills, positions = (
            lake.read(table, as_of=as_of, lane=book, last=last) for table in (ACCOUNT, TRADES, FILLS, POSITIONS)
        )
        return cls(last, account, trades, fills, positions, references)


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure's values by session, in order; those after `final` may still change and do not count yet."""

    values: Mapping[date, float]
    final: date

    @property
    def counted(self) -> Mapping[date, float]:
        """The values that stand."""
        return {day: value for day, value in self.values.items() if day <= self.final}


def measured(measure: MeasureName, record: Record) -> Measured:
    """The measure on a record. A session without a settlement or without a single decision has no value: no arm was at work.

    Raises:
        PermanentFailure: an equity that is not above zero, from which nothing can be measured.
    """
    values, waits = _MEASURES[measure]
    final = _closed_until(record) if waits else record.last
    worked = {row["session"] for row in record.account.rows(named=True) if row["decisions"] > 0}
    found = sorted((day, round(value, _DECIMALS)) for day, value in values(record).items() if day in worked)
    return Measured(dict(found), final)


def _equity_before(record: Record) -> Mapping[date, tuple[float, float]]:
    """For each settled session but the first, equity at the close before and at its own; a gap in the record has neither."""
    rows = [(row["session"], float(row["equity"])) for row in record.account.sort("session").rows(named=True)]
    wrong = [day for day, equity in rows if not equity > 0]
    if wrong:
        raise PermanentFailure("an equity is not above zero", value=wrong[0], bound="above 0 USD")
    settled = dict(rows)
    pairs = ((day, XNYS.previous(day).day, equity) for day, equity in rows)
    return {day: (settled[before], equity) for day, before, equity in pairs if before in settled}


def _session_return(record: Record) -> Values:
    return {day: (now / before - 1) * _BASIS_POINTS for day, (before, now) in _equity_before(record).items()}


def _session_loss(record: Record) -> Values:
    return {day: max(0.0, -value) for day, value in _session_return(record).items()}


def _fees(record: Record) -> Values:
    paid = {row["session"]: float(row["fees"]) for row in record.account.rows(named=True)}
    return {day: paid[day] / before * _BASIS_POINTS for day, (before, _) in _equity_before(record).items()}


def _opened_return(record: Record) -> Values:
    opened = _by_opening(record)
    equity = _equity_before(record)
    return {day: sum(opened.get(day, [])) / before * _BASIS_POINTS for day, (before, _) in equity.items()}


def _trade_pnl(record: Record) -> Values:
    return {day: sum(pnls) / len(pnls) for day, pnls in _by_opening(record).items()}


def _slippage(record: Record) -> Values:
    """The mean over the shares that opened or enlarged a position; a fill without its plan is not guessed."""
    paid: defaultdict[date, float] = defaultdict(float)
    meant: defaultdict[date, float] = defaultdict(float)
    for row in record.fills.rows(named=True):
        reference = record.references.get(row["intent_id"])
        if row["role"] not in {"entry", "addition"} or reference is None:
            continue
        way = 1.0 if row["side"] == "buy" else -1.0
        paid[row["session"]] += way * (float(row["price"]) - reference) * row["quantity"]
        meant[row["session"]] += reference * row["quantity"]
    return {day: paid[day] / meant[day] * _BASIS_POINTS for day in paid}


def _by_opening(record: Record) -> Mapping[date, list[float]]:
    """P&L of the closed trades by the session that opened them."""
    found: defaultdict[date, list[float]] = defaultdict(list)
    for row in record.trades.sort("session", "trade_id").rows(named=True):
        found[row["opened"]].append(float(row["pnl"]))
    return found


def _closed_until(record: Record) -> date:
    """The last session before the first one that opened a position which is still held."""
    held = {row["symbol"] for row in record.positions.rows(named=True) if row["session"] == record.last}
    closed: dict[str, date] = {}
    for row in record.trades.rows(named=True):
        closed[row["symbol"]] = max(row["session"], closed.get(row["symbol"], date.min))
    done = set(record.trades["trade_id"])
    opened = [
        row["session"]
        for row in record.fills.rows(named=True)
        if row["role"] == "entry" and row["symbol"] in held and row["intent_id"] not in done
        if row["session"] >= closed.get(row["symbol"], date.min)
    ]
    return XNYS.previous(min(opened)).day if opened else record.last


_MEASURES: Mapping[MeasureName, tuple[Callable[[Record], Values], bool]] = {
    "session_return_bp": (_session_return, False),
    "session_loss_bp": (_session_loss, False),
    "opened_return_bp": (_opened_return, True),
    "trade_pnl_usd": (_trade_pnl, True),
    "slippage_bp": (_slippage, False),
    "fees_bp": (_fees, False),
}
