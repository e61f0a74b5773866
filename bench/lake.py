"""The lake's queries beside a plain DuckDB table and a plain SQLite table: `python -m bench.lake [--json] [--folder PATH]`.

Daily bars of 500 symbols. Ten years (2,520 sessions) as one file of the lake, one DuckDB table and one SQLite table (primary key
symbol and session, index on the session); then 250 sessions written one by one, before and after compaction. The lake answers
with a polars frame sorted by key and cut at a moment, DuckDB with a polars frame, SQLite with rows; connections stay open. Medians
of warm rounds, taken in turn; milliseconds.
"""

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from bench.storage import LATEST, bars
from bench.timing import emit
from resources.lake import ParquetLake
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.market.model import DAILY_BARS

SYMBOLS, SYMBOL = 500, "S123"
DAYS = XNYS.days[4000:6520]
FEW = DAYS[-250:]
ROUNDS = 9
Query = Callable[[], Any]


def main(arguments: list[str] | None = None) -> None:
    """Measures, compares the answers, and prints one JSON line."""
    parser = argparse.ArgumentParser(description="Queries of the lake beside DuckDB and SQLite, in milliseconds.")
    parser.add_argument("--json", action="store_true", help="accepted; the output is one JSON line anyway")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        emit(
            {"bench": "lake", "symbols": SYMBOLS, "sessions": len(DAYS), **_long(Path(folder)), **_short(Path(folder))}
        )


def _long(folder: Path) -> Mapping[str, float]:
    """Ten years in each engine: figures, and the lake's over each of the others."""
    frame = bars(DAYS, SYMBOLS)
    lake = ParquetLake(folder / "long")
    lake.write(DAILY_BARS, frame, Span(DAYS[0], DAYS[-1]))
    duck, lite = _duck(folder / "bars.duckdb", frame), _lite(folder / "bars.sqlite", frame)
    engines = {"lake": _of_lake(lake, DAYS), "duckdb": _of_duck(duck), "sqlite": _of_lite(lite)}
    figures: dict[str, float] = {}
    for name in engines["lake"]:
        spent = _in_turn({engine: queries[name] for engine, queries in engines.items()})
        figures |= {f"{engine}_{name}_ms": round(ms, 2) for engine, ms in spent.items()}
        for other in ("duckdb", "sqlite"):
            figures[f"{name}_ratio_to_{other}"] = round(spent["lake"] / spent[other], 2)
    duck.close()
    lite.close()
    return figures


def _short(folder: Path) -> Mapping[str, float]:
    """A year of session files, before and after compaction."""
    lake = ParquetLake(folder / "short")
    for day in FEW:
        lake.write(DAILY_BARS, bars([day], SYMBOLS), Span(day, day))
    queries = _of_lake(lake, FEW)
    before = {name: statistics.median(_ms(query) for _ in range(ROUNDS)) for name, query in queries.items()}
    spent = _ms(partial(lake.compact, DAILY_BARS, sessions_min=len(FEW)))
    after = {name: statistics.median(_ms(query) for _ in range(ROUNDS)) for name, query in queries.items()}
    return {
        "files": len(FEW),
        "compact_ms": round(spent, 1),
        **{f"files_{name}_ms": round(ms, 2) for name, ms in before.items()},
        **{f"compacted_{name}_ms": round(ms, 2) for name, ms in after.items()},
        **{f"compacted_{name}_speedup": round(before[name] / after[name], 1) for name in before},
    }


def _of_lake(lake: ParquetLake, days: tuple[date, ...]) -> Mapping[str, Query]:
    read = partial(lake.read, DAILY_BARS, as_of=LATEST)
    middle = days[len(days) // 2]
    return {
        "last_200_of_one": partial(read, first=days[-200], symbols=[SYMBOL]),
        "one_day": partial(read, first=middle, last=middle),
        "full_scan": read,
    }


def _of_duck(connection: duckdb.DuckDBPyConnection) -> Mapping[str, Query]:
    def ask(where: str, *values: object) -> pl.DataFrame:
        found: pl.DataFrame = connection.sql(f"select * from bars {where}", params=list(values)).pl()  # noqa: S608
        return found

    return {
        "last_200_of_one": partial(ask, "where symbol = ? and session >= ?", SYMBOL, DAYS[-200]),
        "one_day": partial(ask, "where session = ?", DAYS[len(DAYS) // 2]),
        "full_scan": partial(ask, ""),
    }


def _of_lite(connection: sqlite3.Connection) -> Mapping[str, Query]:
    def ask(where: str, *values: object) -> list[Any]:
        return connection.execute(f"select * from bars {where}", values).fetchall()  # noqa: S608

    return {
        "last_200_of_one": partial(ask, "where symbol = ? and session >= ?", SYMBOL, DAYS[-200].isoformat()),
        "one_day": partial(ask, "where session = ?", DAYS[len(DAYS) // 2].isoformat()),
        "full_scan": partial(ask, ""),
    }


def _duck(path: Path, frame: pl.DataFrame) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(path))
    connection.register("frame", frame)
    connection.execute("create table bars as from frame")
    return connection


def _lite(path: Path, frame: pl.DataFrame) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("pragma journal_mode = wal")
    columns = ", ".join(frame.columns)
    connection.execute(f"create table bars ({columns}, primary key (symbol, session))")
    marks = ", ".join("?" * frame.width)
    texts = frame.with_columns(pl.col("session", "start", "knowable_at").cast(pl.String))
    connection.executemany(f"insert into bars values ({marks})", texts.iter_rows())  # noqa: S608
    connection.execute("create index by_session on bars (session)")
    connection.commit()
    return connection


def _in_turn(queries: Mapping[str, Query]) -> Mapping[str, float]:
    """The median of each engine; a slow moment of the machine falls on all of them. Answers must have the same length."""
    lengths = {engine: len(query()) for engine, query in queries.items()}
    if len(set(lengths.values())) != 1:
        raise RuntimeError(f"the engines answer differently: {lengths}")
    spent: dict[str, list[float]] = {engine: [] for engine in queries}
    for _ in range(ROUNDS):
        for engine, query in queries.items():
            spent[engine].append(_ms(query))
    return {engine: statistics.median(values) for engine, values in spent.items()}


def _ms(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    main(sys.argv[1:])
