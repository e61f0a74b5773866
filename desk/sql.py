"""`desk sql`: DuckDB over everything that the desk stored, read-only.

Lake tables appear as views in one schema per lane (facts, desk, backtest), each over exactly the files that count and cut at the
desk's clock; the dbt models as metrics_desk and metrics_backtest.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from desk.runner import prepare_home
from resources.desk import LANES, DeskResource
from resources.hardware import fitted, measure
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.messages import BUS_MESSAGES
from trading_assets.core.tables import FACTS, Table
from trading_assets.execution.tables import BOOKED, DECIDED

if TYPE_CHECKING:
    import duckdb


LISTING = """
    select table_catalog || '.' || table_schema as "from", table_name as "table", string_agg(column_name, ', ') as columns
    from information_schema.columns
    where not starts_with(table_name, '_') and table_schema not in ('information_schema', 'raw')
    group by all order by all
"""


def run_sql(query: str, *, as_json: bool) -> None:
    """Prints the query's result as a table, or as a JSON list of rows."""
    import duckdb
    import polars as pl

    prepare_home()
    desk = DeskResource()
    fit = fitted(desk.operations().hardware, measure())
    with duckdb.connect(config=dict(fit.duckdb_config)) as connection:
        _attach(connection, desk, query)
        try:
            found = connection.sql(query or LISTING)
            result = found.pl() if found is not None else pl.DataFrame()
        except duckdb.Error as wrong:
            raise PermanentFailure(
                f"the query failed: {wrong}", hint="desk sql without a query lists the tables"
            ) from wrong
    if as_json:
        typer.echo(json.dumps(result.rows(named=True), default=str))
        return
    with pl.Config(
        tbl_rows=100,
        fmt_str_lengths=400,
        tbl_width_chars=150,
        tbl_cols=30,
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
    ):
        typer.echo(str(result))


def _attach(connection: "duckdb.DuckDBPyConnection", desk: DeskResource, query: str) -> None:
    """Reads the tables that the query names; the others are there with their columns and without rows."""
    lake, as_of = desk.lake(), desk.clock().now()
    for lane, tables in _tables():
        connection.execute(f"create schema if not exists {lane}")
        for table in tables:
            frame = lake.read(table, as_of=as_of, lane=lane) if table.name in query.lower() else table.empty()
            connection.register(f"_{lane}_{table.name}", frame)
            connection.execute(f"create view {lane}.{table.name} as from _{lane}_{table.name}")
    for lane in LANES:
        warehouse = desk.home().warehouse / f"{lane}.duckdb"
        if warehouse.exists():
            connection.execute(f"attach '{warehouse}' as metrics_{lane} (read_only)")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def _tables() -> Iterator[tuple[str, tuple[Table, ...]]]:
    from trading_assets.evaluation.model import BENCHMARK
    from trading_assets.jobs import FACT_TABLES, INTRADAY_TABLES
    from trading_assets.market.documents.model import SOURCE_ANSWERS
    from trading_assets.theses.model import OPINIONS

    yield FACTS, (*FACT_TABLES, *INTRADAY_TABLES, SOURCE_ANSWERS)
    for lane in LANES:
        yield lane, (*OPINIONS, *DECIDED, *BOOKED, BENCHMARK, BUS_MESSAGES)
