"""The record by strategy and by regime, and which of it can be told from chance."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from trading_assets.evaluation.intervals import LEVEL, SEED
from trading_assets.evaluation.reporting.document import Block, Grid, Words
from trading_assets.evaluation.reporting.record import Record
from trading_assets.evaluation.reporting.words import NOISE, is_noise, number, spoken, usd
from trading_assets.evaluation.statistics import Interval, block_bootstrap
from trading_assets.evaluation.summary import TradeRecord, trade_record


@dataclass(frozen=True, slots=True)
class Group:
    """A group's record with the interval of what a trade of it earns, USD; None where it is too short for one."""

    record: TradeRecord
    per_trade_usd: Interval | None


def groups_by(column: str) -> Callable[[Record], Mapping[str, Group]]:
    """The record by a column of the trades."""

    def grouped(record: Record) -> Mapping[str, Group]:
        parts = record.trades.partition_by(column, as_dict=True)
        return {str(key[0]): group_of(rows) for key, rows in sorted(parts.items())}

    return lambda record: record.once(f"groups {column}", lambda: grouped(record))


def group_of(trades: pl.DataFrame) -> Group:
    """A group's record and how sure its mean is."""
    pnl = [float(each) for each in trades.sort("session", "trade_id")["pnl"].to_list()]
    return Group(trade_record(trades), block_bootstrap(pnl, level=LEVEL, seed=SEED))


def tell_groups(found: Mapping[str, Group], record: Record) -> Iterator[Block]:  # noqa: ARG001 - parts share one form
    """One row for each group; a mean that its interval does not tell from zero is called so."""
    if not found:
        yield Words("No trade has closed.")
        return
    columns = ("", "Trades", "P&L, USD", "Win rate", "Profit factor", "Per trade, USD", "95 % interval", "Reading")
    yield Grid(columns, tuple(_row(name, group) for name, group in found.items()), text=(0, 7))


def _row(name: str, group: Group) -> tuple[str, ...]:
    record, interval = group.record, group.per_trade_usd
    return (
        spoken(name),
        str(record.trades),
        usd(record.pnl_usd),
        number(record.win_rate_fraction, "{:.0%}"),
        number(record.profit_factor, "{:.2f}"),
        number(record.expectancy_usd, "{:+,.2f}"),
        "" if interval is None else f"{interval.low:+,.2f} to {interval.high:+,.2f}",
        _reading(interval),
    )


def _reading(interval: Interval | None) -> str:
    if interval is None:
        return "too few trades to say"
    return NOISE if is_noise(interval.low, interval.high) else ("earns" if interval.low > 0 else "loses")
