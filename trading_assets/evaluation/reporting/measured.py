"""What is measured after the close, to date: attribution by every dimension, slippage by role, order type and time of day."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from trading_assets.evaluation.attribution import shares_by
from trading_assets.evaluation.model import ATTRIBUTION, DIMENSIONS, SLIPPAGE
from trading_assets.evaluation.reporting.document import Block, Grid, Words
from trading_assets.evaluation.reporting.record import Record
from trading_assets.evaluation.reporting.why import Mover
from trading_assets.evaluation.reporting.words import number, spoken, usd

NAMES_SHOWN = 8
_ALREADY_SHOWN = frozenset({"strategy", "regime"})


@dataclass(frozen=True, slots=True)
class Cost:
    """Fills of one role, type and time of day to date: cost against the decision price, USD and basis points."""

    role: str
    type: str
    time_of_day: str
    fills: int
    shortfall_usd: Decimal
    bp: float | None
    fees_usd: Decimal


def attribution_by(record: Record) -> Mapping[str, Sequence[Mover]]:
    """Every dimension, the largest gain first, with what nobody's share explains."""
    rows = record.read(ATTRIBUTION)
    return {d: [Mover(name, pnl, trades) for name, trades, pnl in shares_by(rows, d)] for d in DIMENSIONS}


def tell_attribution(found: Mapping[str, Sequence[Mover]], record: Record) -> Iterator[Block]:  # noqa: ARG001 - one form
    """A row for each name that moved most; strategies and regimes have parts of their own."""
    rows = [
        (spoken(dimension), spoken(each.name), str(each.trades), usd(each.pnl_usd))
        for dimension, every in found.items()
        if dimension not in _ALREADY_SHOWN
        for each in sorted(every, key=lambda m: (-abs(m.pnl_usd), m.name))[:NAMES_SHOWN]
    ]
    if not rows:
        yield Words("No closed trade is attributed.")
        return
    yield Grid(("By", "Name", "Trades", "P&L, USD"), tuple(rows), text=(0, 1))
    yield Words("Voices share a trade by weight and vote; one against it has a negative share. To date.", quiet=True)


def slippage_by(record: Record) -> Sequence[Cost]:
    """Measured fills to date, in groups."""
    known = record.read(SLIPPAGE).filter((pl.col("fill_id") != "") & pl.col("shortfall").is_not_null())
    groups = known.sort("session", "order_id", "fill_id").partition_by("role", "type", "time_of_day", as_dict=True)
    return [_cost(str(key[0]), str(key[1]), str(key[2]), rows) for key, rows in sorted(groups.items())]


def tell_slippage(found: Sequence[Cost], record: Record) -> Iterator[Block]:  # noqa: ARG001 - one form
    """One row for each group, by what it cost."""
    if not found:
        yield Words("No fill has a known decision price.")
        return
    columns = ("Role", "Order", "Decided at", "Fills", "Slippage, bp", "Slippage, USD", "Fees, USD")
    rows = (
        (
            *(each.role, each.type, each.time_of_day or "unknown", str(each.fills)),
            *(number(each.bp, "{:+.1f}"), usd(each.shortfall_usd), f"{each.fees_usd:,.2f}"),
        )
        for each in found
    )
    yield Grid(columns, tuple(rows), text=(0, 1, 2))


def _cost(role: str, kind: str, time_of_day: str, rows: pl.DataFrame) -> Cost:
    paid = sum(rows["shortfall"].to_list(), Decimal(0))
    pairs = rows.select("reference", "quantity").drop_nulls().iter_rows()
    decided = sum((reference * quantity for reference, quantity in pairs), Decimal(0))
    bp = round(float(paid / decided) * 10_000, 6) if decided else None
    return Cost(role, kind, time_of_day, rows.height, paid, bp, sum(rows["fee"].to_list(), Decimal(0)))
