"""Warehouses built by dbt from small books, for the tests of this folder."""

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

PROJECT = Path(__file__).parents[3] / "dbt_metrics"
METRICS_PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def raw_of(book: Book, lane: str = "backtest") -> RawTables:
    return RawTables(
        lane=lane,
        starting_cash=CASH,
        account=book.account,
        trades=book.trades,
        positions=book.positions,
        fills=book.fills,
        benchmark=book.benchmark,
    )


class Lane:
    """A warehouse with its target folder, as one lane has them."""

    def __init__(self, root: Path, project: Path = PROJECT) -> None:
        self.project = project
        self.warehouse = root / "backtest.duckdb"
        self.target = root / "dbt"

    def build(self, book: Book) -> MetricsRun:
        return run_metrics(project=self.project, warehouse=self.warehouse, target=self.target, raw=raw_of(book))

    def read(self, model: str) -> pl.DataFrame:
        return read_model(self.warehouse, model)

    def last(self) -> dict[str, Any]:
        return self.read("daily_metrics").row(-1, named=True)


def built(root: Path, name: str, book: Book) -> tuple[Lane, MetricsRun]:
    """A built warehouse of its own; building always at one path spares dbt a new parse."""
    lane = Lane(root)
    run = lane.build(book)
    lane.warehouse = lane.warehouse.rename(root / f"{name}.duckdb")
    return lane, run


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
