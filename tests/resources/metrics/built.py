"""Warehouses built by dbt from small books, for the tests of this folder."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from resources.metrics import (
    MetricsRun,
    RawTables,
    read_model,
    run_metrics,
)
from tests.evaluation.books import (
    CASH,
    Book,
    account,
    account_row,
    day,
    fill_row,
    fills,
    positions,
    tiny,
    trade_row,
    trades,
)
from tests.evaluation.measured import (
    entry,
    evidence_row,
    evidences,
    order_row,
    orders,
    plan_rows,
    theses,
    thesis_row,
    trade_id,
    vote_rows,
)
from trading_assets.core.calendar import XNYS
from trading_assets.evaluation.attribution import attribution
from trading_assets.evaluation.intervals import metric_intervals
from trading_assets.evaluation.slippage import Market, slippage

PROJECT = Path(__file__).parents[3] / "dbt_metrics"
METRICS_PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def raw_of(book: Book, *, lane: str = "backtest", measured: Mapping[str, pl.DataFrame] | None = None) -> RawTables:
    tables = ("account", "trades", "positions", "fills", "benchmark")
    return RawTables(lane, CASH, {**{name: getattr(book, name) for name in tables}, **(measured or {})})


def measured_of(book: Book) -> dict[str, pl.DataFrame]:
    """Every trade attributed, every fill with its slippage, every session with what it rests on."""
    labels = evidences(*(_evidence(number) for number in range(1, book.account.height + 1)))
    opened = [
        entry(XNYS.days.index(row["opened"]) - XNYS.days.index(day(1)) + 1) for row in book.trades.rows(named=True)
    ]
    named = {made.id: row["trade_id"] for made, row in zip(opened, book.trades.rows(named=True), strict=True)}
    plans, votes = plan_rows(*opened), vote_rows(*opened)
    minds = theses(*(thesis_row(made, {"technical": 1.0, "news": -0.2}) for made in opened))
    trades_ = book.trades.with_columns(pl.Series("trade_id", [trade_id(made) for made in opened], dtype=pl.String))
    shares = attribution(trades_, plans, votes, minds, labels, book="backtest")
    back = {trade_id(made): named[made.id] for made in opened}
    costs = slippage(
        book.fills,
        orders(*_orders(book.fills)),
        plans,
        Market(),
        first=day(1),
        last=day(book.account.height or 1),
        book="backtest",
    )
    shares = shares.with_columns(pl.col("trade_id").replace_strict(back, return_dtype=pl.String)) if back else shares
    last = day(book.account.height or 1)
    intervals = metric_intervals(book.account, book.benchmark, shares, costs, labels, session=last, starting_cash=CASH)
    return {"decision_evidence": labels, "attribution_shares": shares, "slippage": costs, "metric_intervals": intervals}


def _evidence(number: int) -> dict[str, Any]:
    """The third session was decided by models that cost a cent; one more slot of it was idle."""
    if number != 3:
        return evidence_row(number)
    return evidence_row(number, "clean", models="haiku-4", calls=4, model_cost=0.01)


def _orders(filled: pl.DataFrame) -> list[dict[str, Any]]:
    """The orders behind the fills: entries to trade now, targets that rest at 120."""
    return [
        order_row(
            entry(1),
            row["role"],
            order_id=row["order_id"],
            intent_id=row["intent_id"],
            session=row["session"],
            limit_price=Decimal(120),
        )
        for row in filled.rows(named=True)
    ]


class Lane:
    """A warehouse with its target folder, as one lane has them."""

    def __init__(self, root: Path, project: Path = PROJECT) -> None:
        self.project = project
        self.warehouse = root / "backtest.duckdb"
        self.target = root / "dbt"

    def build(self, book: Book, **measured: pl.DataFrame) -> MetricsRun:
        raw = raw_of(book, measured=measured)
        return run_metrics(project=self.project, warehouse=self.warehouse, target=self.target, raw=raw)

    def read(self, model: str) -> pl.DataFrame:
        return read_model(self.warehouse, model)

    def last(self) -> dict[str, Any]:
        return self.read("daily_metrics").row(-1, named=True)


def built(root: Path, name: str, book: Book, **measured: pl.DataFrame) -> tuple[Lane, MetricsRun]:
    """A built warehouse of its own."""
    lane = Lane(root)
    lane.warehouse = root / f"{name}.duckdb"
    return lane, lane.build(book, **measured)


def broken_book() -> Book:
    """The tiny book with one defect for each of the tests below."""
    book = tiny()
    nameless = account_row(7, 0)
    return book.with_(
        account=pl.concat(
            [
                book.account.head(1),
                account(
                    account_row(2, 100100, equity=-123),
                    account_row(3, -100, 200_000, fees=-1, vetoes=-2),
                    account_row(4, 99100, 800),
                    account_row(4, 99100, 800),
                    {**nameless, "equity": None},
                ),
            ]
        ),
        trades=trades(
            trade_row(1, 200, return_fraction=float("nan"), exit_reason="whim", sessions_held=0),
            trade_row(1, 200),
            trade_row(2, -100, opened=day(3), fees=Decimal(-1)),
            trade_row(9, -100, strategy=None),
        ),
        positions=positions((1, 5, 100)),
        fills=fills(fill_row(1, 7, "buy", 100)),
        benchmark=book.benchmark.head(2),
    )
