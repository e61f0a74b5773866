"""The checks on features in a real Dagster run: green on true rows, red on whatever else the tables may hold."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import polars as pl
import pytest

from resources.desk import DeskResource
from tests.features.frames import embedded, splits_of, walk
from tests.features.intraday_frames import minutes, quotes
from tests.orchestration.homes import AFTER_EVERYTHING, copied, living_in
from trading_assets.catalog import key_of, spec
from trading_assets.core.ports import Span
from trading_assets.core.tables import Table
from trading_assets.features import assets, checks
from trading_assets.features.canary import Expected, disagreements, sampled
from trading_assets.features.model import BREADTH, CORRELATIONS, INDICATORS, INTRADAY_FEATURES, LIQUIDITY
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS, QUOTE_BARS

PAST, WALKED = Span(date(2004, 1, 2), date(2005, 3, 31)), Span(date(2005, 2, 14), date(2005, 3, 31))
TABLES = (INDICATORS, BREADTH, INTRADAY_FEATURES, LIQUIDITY, CORRELATIONS)
FACTS = (DAILY_BARS, CORPORATE_ACTIONS, INTRADAY_BARS, QUOTE_BARS)
DEFS = dg.Definitions(
    assets=[
        *(spec(table, group="market", kinds={"python"}) for table in FACTS),
        *dg.load_assets_from_modules([assets]),
    ],
    asset_checks=dg.load_asset_checks_from_modules([checks]),
    resources={"desk": DeskResource()},
    jobs=[
        dg.define_asset_job(
            "features",
            selection=dg.AssetSelection.assets(*(key_of(table) for table in TABLES)),
            executor_def=dg.in_process_executor,
        ),
        dg.define_asset_job(
            "judge",
            selection=dg.AssetSelection.checks_for_assets(*(key_of(table) for table in TABLES)),
            executor_def=dg.in_process_executor,
        ),
    ],
)
_HELD: list[TemporaryDirectory[str]] = []
Spoil = Callable[[pl.DataFrame], pl.DataFrame]


def run(job: str, span: Span = WALKED) -> dict[str, bool]:
    """Runs a job over a span; which check passed."""
    tags = {
        "dagster/asset_partition_range_start": span.first.isoformat(),
        "dagster/asset_partition_range_end": span.last.isoformat(),
    }
    config = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        result = DEFS.resolve_job_def(job).execute_in_process(
            instance=instance, tags=tags, run_config=config, raise_on_error=False
        )
        evaluations = result.get_asset_check_evaluations()
    return {f"{e.asset_key.to_user_string()}:{e.check_name}": e.passed for e in evaluations}


@cache
def walked() -> Path:
    """A home with real daily bars across an ex-date, made minutes and quotes, and every feature table over six weeks."""
    _HELD.append(TemporaryDirectory(prefix="desk-tests-"))
    root = Path(_HELD[-1].name) / "home"
    with living_in(root):
        lake = DeskResource().lake()
        bars, actions = (frame.filter(pl.col("session").is_between(PAST.first, PAST.last)) for frame in embedded())
        days = bars.filter(pl.col("session") >= date(2005, 1, 3))["session"].unique().sort().to_list()
        fine = pl.concat(
            [minutes("AAPL", days, seed=1, frequency="5m", gaps=3), minutes("IBM", days, seed=2, frequency="1h")]
        )
        lake.write(DAILY_BARS, bars, PAST)
        lake.write(CORPORATE_ACTIONS, actions, PAST)
        lake.write(INTRADAY_BARS, INTRADAY_BARS.conform(fine), PAST)
        lake.write(QUOTE_BARS, quotes("AAPL", days, seed=3), PAST)
        passed = run("features")
        assert len(passed) == 2 * len(TABLES)
        assert all(passed.values()), passed
    return root


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A copy of the walked home, to be spoilt."""
    with living_in(copied(walked(), tmp_path / "home")) as own:
        yield own.root


def stored(table: Table) -> pl.DataFrame:
    return DeskResource().lake().read(table, as_of=AFTER_EVERYTHING, first=WALKED.first, last=WALKED.last)


def replace(table: Table, spoil: Spoil) -> None:
    """Writes other rows over the stored ones, as another producer would."""
    DeskResource().lake().write(table, spoil(stored(table)), WALKED)


def numbers_of(table: Table) -> list[str]:
    """The computed columns: what a producer makes and does not copy."""
    return [column.name for column in table.columns if column.type in {"number", "count"} and column.name != "close"]


def constant(table: Table, value: float | None) -> Spoil:
    kinds = {column.name: column for column in table.columns}

    def spoil(rows: pl.DataFrame) -> pl.DataFrame:
        columns = []
        for name in numbers_of(table):
            other = pl.lit(value, dtype=rows.schema[name])
            may_be_empty = kinds[name].nullable or value is not None
            columns.append((other if may_be_empty else pl.lit(0, dtype=rows.schema[name])).alias(name))
        return rows.with_columns(columns)

    return spoil


def test_true_rows_pass(home: Path) -> None:
    assert set(run("judge").values()) == {True}
    assert all(stored(table).height for table in TABLES)


@pytest.mark.parametrize("span", [Span(date(2005, 2, 28), date(2005, 2, 28)), Span(date(2005, 3, 1), date(2005, 3, 4))])
def test_true_rows_pass_on_an_ex_date_and_in_any_part(home: Path, span: Span) -> None:
    assert set(run("judge", span).values()) == {True}


@pytest.mark.parametrize("value", [None, 0.0, 1.0], ids=["nothing", "zero", "one"])
def test_a_body_that_was_replaced_by_a_constant_turns_red(home: Path, value: float | None) -> None:
    for table in TABLES:
        replace(table, constant(table, value))
    passed = run("judge")
    assert [table.name for table in TABLES if passed[f"{table.name}:canary"]] == []


@pytest.mark.parametrize("table", [LIQUIDITY, INDICATORS], ids=lambda table: table.name)
def test_the_tables_beside_a_spoilt_one_stay_green(home: Path, table: Table) -> None:
    replace(table, constant(table, 1.0))
    red = {name for name, good in run("judge").items() if not good}
    assert red == {f"{table.name}:canary", *(("breadth:canary",) if table is INDICATORS else ())}


def test_a_body_that_writes_nothing_turns_red(home: Path) -> None:
    for table in TABLES:
        replace(table, lambda rows: rows.clear())
    passed = run("judge")
    assert [table.name for table in TABLES if passed[f"{table.name}:complete_and_finite"]] == []


def test_values_that_are_off_by_a_millionth_turn_red(home: Path) -> None:
    """In every row, since the canary looks at a few."""
    for table in TABLES:
        names = numbers_of(table)
        replace(table, lambda rows, names=names: rows.with_columns(_scaled(names, rows)))  # type: ignore[misc]
    passed = run("judge")
    assert [table.name for table in TABLES if passed[f"{table.name}:canary"]] == []


def _scaled(names: Sequence[str], rows: pl.DataFrame) -> list[pl.Expr]:
    return [pl.col(name) * (1 + 1e-6) for name in names if rows.schema[name] == pl.Float64]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_one_value_that_is_not_finite_turns_red(home: Path, value: float) -> None:
    here = pl.when(pl.int_range(pl.len()) == 3).then(value)
    for table in TABLES:
        name = next(column.name for column in table.columns if column.type == "number" and column.nullable)
        replace(table, lambda rows, it=name: rows.with_columns(here.otherwise(pl.col(it)).alias(it)))  # type: ignore[misc]
    passed = run("judge")
    assert [table.name for table in TABLES if passed[f"{table.name}:complete_and_finite"]] == []


def test_one_missing_row_turns_red(home: Path) -> None:
    for table in TABLES:
        replace(table, lambda rows: rows.filter(pl.int_range(pl.len()) != 3))
    passed = run("judge")
    assert [table.name for table in TABLES if passed[f"{table.name}:complete_and_finite"]] == []


def test_rows_of_a_symbol_without_bars_turn_red(home: Path) -> None:
    for table, column in ((INDICATORS, "symbol"), (LIQUIDITY, "symbol"), (CORRELATIONS, "symbol_b")):
        stranger = stored(table).tail(1).with_columns(pl.lit("ZZZ").alias(column))
        replace(table, lambda rows, one=stranger: pl.concat([rows, one]))  # type: ignore[misc]
    passed = run("judge")
    assert not any(passed[f"{table.name}:complete_and_finite"] for table in (INDICATORS, LIQUIDITY, CORRELATIONS))


def test_a_close_that_is_not_the_bars_turns_red(home: Path) -> None:
    for table in (INDICATORS, INTRADAY_FEATURES):
        replace(table, lambda rows: rows.with_columns(pl.col("close") * 1.0001))
    passed = run("judge")
    assert not passed["indicators:complete_and_finite"]
    assert not passed["intraday_features:complete_and_finite"]


def test_a_large_universe_without_one_symbols_peers_turns_red(home: Path) -> None:
    symbols = [f"S{n:02d}" for n in range(34)]
    bars = pl.concat([walk(symbol, 310, seed=n, first=PAST.first) for n, symbol in enumerate(symbols)])
    lake = DeskResource().lake()
    lake.write(DAILY_BARS, DAILY_BARS.conform(bars.filter(pl.col("session") <= PAST.last)), PAST)
    lake.write(CORPORATE_ACTIONS, splits_of(), PAST)
    passed = run("features")
    assert passed["correlations:complete_and_finite"]
    assert passed["correlations:canary"]
    replace(CORRELATIONS, lambda rows: rows.filter(pl.col("symbol_a").str.slice(1).cast(pl.Int64) % 2 == 0))
    assert not run("judge")["correlations:complete_and_finite"]


def test_a_red_check_says_which_row_and_what_it_must_be(home: Path) -> None:
    replace(LIQUIDITY, constant(LIQUIDITY, 0.25))
    tags = {"dagster/partition": "2005-03-31"}
    with dg.DagsterInstance.ephemeral() as instance:
        result = DEFS.resolve_job_def("judge").execute_in_process(instance=instance, tags=tags, raise_on_error=False)
        said = next(e for e in result.get_asset_check_evaluations() if not e.passed)
    assert said.description is not None
    assert "2005-03-31" in said.description
    assert "0.25" in said.description
    assert "must be" in said.description


def test_every_feature_check_stops_what_comes_after() -> None:
    graph = DEFS.resolve_asset_graph()
    keys = [key for key in graph.asset_check_keys if key.asset_key in {key_of(table) for table in TABLES}]
    assert len(keys) == 2 * len(TABLES)
    assert all(graph.get(key).blocking for key in keys)


# --- the canary's parts --------------------------------------------------------------------------------------------


def test_the_sample_is_the_same_for_the_same_run_and_another_for_another() -> None:
    rows = pl.DataFrame({"row": range(1000)})
    one = sampled(rows, "a", WALKED)
    assert one == sampled(rows, "a", WALKED)
    assert one[:-1] != sampled(rows, "b", WALKED)[:-1]
    assert one[:-1] != sampled(rows, "a", PAST)[:-1]
    assert one[-1] == {"row": 999}
    assert sampled(rows.clear(), "a", WALKED) == []


@pytest.mark.parametrize(
    ("expected", "stored_value", "agrees"),
    [
        (Expected(2.0), 2.0 * (1 + 9e-10), True),
        (Expected(2.0), 2.0 * (1 + 2e-9), False),
        (Expected(0.0, 100.0), 5e-8, True),
        (Expected(0.0, 100.0), 5e-7, False),
        (Expected(None), None, True),
        (Expected(float("nan")), None, True),
        (Expected(None), 0.0, False),
        (Expected(1.0), None, False),
        (Expected(1.0), float("nan"), False),
        (Expected(1.0), "1.0", False),
    ],
)
def test_values_agree_to_a_billionth(expected: Expected, stored_value: object, *, agrees: bool) -> None:
    assert expected.agrees(stored_value) == agrees


def test_a_row_that_is_not_there_is_one_sentence() -> None:
    assert disagreements("AAPL", None, {"x": Expected(1.0)}) == ["AAPL: there is no row"]
