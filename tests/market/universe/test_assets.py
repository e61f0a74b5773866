"""The assets and their checks in a real Dagster run over a real lake."""

import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest
import yaml

from resources.desk import DeskResource
from resources.lake import ParquetLake
from tests.market.universe.test_pairs import planted
from tests.market.universe.worlds import DAYS, bars_of, names
from trading_assets.catalog import SINGLE_RUN, key_of, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT, Home
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.market.universe import assets, checks
from trading_assets.market.universe.model import UNIVERSE, UNIVERSE_PAIRS
from trading_assets.partitions import span_of

LENGTH = 320
SPAN = Span(DAYS[LENGTH - 12].day, DAYS[LENGTH - 1].day)
LATEST = XNYS.session(XNYS.last).close


@pytest.fixture
def desk(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with bars of four securities, two of them a planted pair, and a configuration that looks at them."""
    config = tmp_path / "config"
    shutil.copytree(PROJECT / "config", config)
    settings = yaml.safe_load((config / "settings.yaml").read_text())
    settings["market"]["instruments"] = [
        {"symbol": "AAA", "sector": "Banks"},
        {"symbol": "BBB", "sector": "Banks"},
        {"symbol": "CCC-20110401", "sector": "Oil", "ticker": "CCC", "last_session": "2011-04-01"},
        {"symbol": "CCC", "sector": "Steel", "first_session": "2011-04-04"},
    ]
    (config / "settings.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("DESK_CONFIG", str(config))
    configure(config, {"all": {"base": "instruments", "filters": [above(1.0)], "rebalance": "daily"}})
    a, b = planted(1)
    write(home, bars_of({"AAA": _prices(a), "BBB": _prices(b), "CCC-20110401": [30.0] * 316}))
    later = bars_of({"CCC": [5.0] * 4}, sessions=[day for day in DAYS if day.day >= date(2011, 4, 4)])
    write(home, pl.concat([stored_bars(home), later]))
    return config


def _prices(line: Sequence[float] | Any) -> list[float]:
    return [float(price) for price in 50 * np.exp(line)]


def above(price: float) -> dict[str, Any]:
    return {"field": "price", "operator": "greater_than", "value": price}


def configure(config: Path, universes: Mapping[str, Any], **pairs: Any) -> None:
    two = {"base": "all", "rebalance": "monthly"} | pairs
    (config / "universes.yaml").write_text(yaml.safe_dump({"universes": dict(universes), "pairs": {"two": two}}))


def write(home: Home, bars: pl.DataFrame) -> None:
    whole = Span(DAYS[0].day, DAYS[-1].day)
    ParquetLake(home.lake).write(DAILY_BARS, bars, whole)
    ParquetLake(home.lake).write(CORPORATE_ACTIONS, CORPORATE_ACTIONS.empty(), whole)


def stored_bars(home: Home) -> pl.DataFrame:
    return ParquetLake(home.lake).read(DAILY_BARS, as_of=LATEST)


def run(*definitions: Any, span: Span = SPAN) -> dg.ExecuteInProcessResult:
    tags = {
        "dagster/asset_partition_range_start": span.first.isoformat(),
        "dagster/asset_partition_range_end": span.last.isoformat(),
    }
    return dg.materialize(
        list(definitions),
        instance=dg.DagsterInstance.ephemeral(),
        resources={"desk": DeskResource()},
        tags=tags,
        raise_on_error=False,
    )


def verdict(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """What the asset said about the run; the same on each of its sessions."""
    event = result.get_asset_materialization_events()[0]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def said(evaluation: dg.AssetCheckEvaluation) -> str:
    return f"{evaluation.description} {evaluation.metadata['failures'].value}"


def test_a_range_in_one_run_stores_members_and_passes_its_check(desk: Path, home: Home) -> None:
    result = run(assets.universe, checks.universe_membership)
    assert result.success
    assert verdict(result).passed
    rows = ParquetLake(home.lake).read(UNIVERSE, as_of=LATEST)
    assert rows["session"].n_unique() == 12
    assert names(rows, "all", date(2011, 4, 1)) == ["AAA", "BBB", "CCC-20110401"]
    assert names(rows, "all", date(2011, 4, 4)) == ["AAA", "BBB", "CCC"]


def test_the_first_session_of_a_run_sees_the_year_before_it(desk: Path, home: Home) -> None:
    strong = {"field": "momentum_12_1", "operator": "top_n", "value": 2}
    configure(desk, {"all": {"base": "instruments", "filters": [strong], "rebalance": "daily"}})
    assert verdict(run(assets.universe, checks.universe_membership)).passed
    rows = ParquetLake(home.lake).read(UNIVERSE, as_of=LATEST)
    assert len(names(rows, "all", SPAN.first)) == 2


def test_sessions_one_by_one_equal_the_range(desk: Path, home: Home) -> None:
    run(assets.universe, assets.universe_pairs)
    lake = ParquetLake(home.lake)
    whole = {table.name: lake.read(table, as_of=LATEST) for table in (UNIVERSE, UNIVERSE_PAIRS)}
    for session in (SPAN.first, DAYS[LENGTH - 6].day, SPAN.last):
        run(assets.universe, assets.universe_pairs, span=Span(session, session))
    for table in (UNIVERSE, UNIVERSE_PAIRS):
        assert lake.read(table, as_of=LATEST).equals(whole[table.name])


def test_pairs_are_stored_with_the_number_of_tests_behind_them(desk: Path, home: Home) -> None:
    result = run(assets.universe_pairs, checks.universe_pairs_hold)
    assert result.success
    assert verdict(result).passed
    rows = ParquetLake(home.lake).read(UNIVERSE_PAIRS, as_of=LATEST)
    assert {frozenset(pair) for pair in rows.select("symbol_a", "symbol_b").rows()} == {frozenset({"AAA", "BBB"})}
    counts = metadata(result)
    assert counts["pairs_tested"] >= 1
    assert counts["false_finds_expected"] == pytest.approx(0.05 * counts["pairs_tested"])


def test_rows_are_not_knowable_before_their_sessions_close(desk: Path, home: Home) -> None:
    run(assets.universe)
    lake, last = ParquetLake(home.lake), XNYS.session(SPAN.last)
    assert lake.read(UNIVERSE, as_of=last.open, first=SPAN.last).is_empty()
    assert not lake.read(UNIVERSE, as_of=last.close, first=SPAN.last).is_empty()


def test_a_universe_that_filters_to_nothing_says_so_and_fails_the_check(desk: Path) -> None:
    configure(desk, {"all": {"base": "instruments", "filters": [above(1e6)], "rebalance": "daily"}})
    result = run(assets.universe, checks.universe_membership)
    assert not verdict(result).passed
    assert "universe all has no member" in said(verdict(result))
    assert metadata(result)["refused"] == 12
    assert "filter price greater_than 1000000.0 left nothing" in metadata(result)["refusals"]


def test_a_universe_that_is_not_required_may_refuse(desk: Path) -> None:
    rich = {"base": "instruments", "filters": [above(1e6)], "rebalance": "daily", "required": False}
    configure(desk, {"all": {"base": "instruments", "rebalance": "daily"}, "rich": rich})
    result = run(assets.universe, checks.universe_membership)
    assert verdict(result).passed
    assert "universe rich has no member" in str(verdict(result).metadata["warnings"].value)


def test_a_field_without_a_table_fails_closed_and_is_named(desk: Path) -> None:
    cheap = {"field": "pe", "operator": "less_than", "value": 15.0}
    configure(desk, {"all": {"base": "instruments", "filters": [cheap], "rebalance": "daily"}})
    result = run(assets.universe, checks.universe_membership)
    assert not verdict(result).passed
    assert "pe has no value for any of" in metadata(result)["refusals"]


def test_a_file_that_is_wrong_stops_the_run_with_its_words(desk: Path) -> None:
    configure(desk, {"all": {"base": "dow30", "rebalance": "daily"}})
    result = run(assets.universe)
    assert not result.success
    failure = result.failure_data_for_node("universe")
    assert failure is not None
    assert failure.error is not None
    assert "unknown base dow30" in str(failure.error.cause or failure.error)


@dg.multi_asset(
    specs=[spec(UNIVERSE, group="market", kinds={"python"})], name="constant_universe", backfill_policy=SINGLE_RUN
)
def constant_universe(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The asset with a constant for its body: AAA alone, always."""
    span = span_of(context.partition_keys)
    rows = [
        {
            "universe": "all",
            "symbol": "AAA",
            "session": session.day,
            "rank": 1,
            "score": None,
            "rebalanced_on": session.day,
            "reason": "it always is",
            "knowable_at": session.close,
        }
        for session in XNYS.sessions(span.first, span.last)
    ]
    return stored(UNIVERSE, desk.lake().write(UNIVERSE, UNIVERSE.frame(rows), span))


@dg.multi_asset(
    specs=[spec(UNIVERSE_PAIRS, group="market", kinds={"python"})], name="no_pairs", backfill_policy=SINGLE_RUN
)
def no_pairs(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The asset with a constant for its body: never a pair."""
    span = span_of(context.partition_keys)
    return stored(UNIVERSE_PAIRS, desk.lake().write(UNIVERSE_PAIRS, UNIVERSE_PAIRS.empty(), span))


@dg.multi_asset(
    specs=[spec(UNIVERSE, group="market", kinds={"python"})], name="untouched_universe", backfill_policy=SINGLE_RUN
)
def untouched_universe(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The asset with a body that stores nothing: what was stored before stays."""
    del context, desk
    return dg.MaterializeResult(asset_key=key_of(UNIVERSE))


def test_a_body_replaced_by_a_constant_turns_the_check_red(desk: Path) -> None:
    result = run(constant_universe, checks.universe_membership)
    assert not verdict(result).passed
    assert "computed anew differ: all/BBB" in said(verdict(result))


def test_a_body_that_finds_no_pair_turns_the_check_red(desk: Path) -> None:
    result = run(no_pairs, checks.universe_pairs_hold)
    assert not verdict(result).passed
    assert "computed anew differ: two/" in said(verdict(result))


def test_bars_that_arrive_later_turn_a_stale_universe_red(desk: Path, home: Home) -> None:
    """Members were stored, then a session was ingested anew with one bar less: what is stored no longer follows from the facts."""
    run(assets.universe)
    bars = stored_bars(home)
    write(home, bars.filter((pl.col("symbol") != "BBB") | (pl.col("session") != SPAN.last)))
    result = run(untouched_universe, checks.universe_membership)
    assert not verdict(result).passed
    assert "all/BBB" in said(verdict(result))


def test_the_committed_configuration_has_members_on_the_embedded_kind_of_bars(home: Home) -> None:
    settings = yaml.safe_load((PROJECT / "config" / "settings.yaml").read_text())
    symbols = [each["symbol"] for each in settings["market"]["instruments"]]
    write(home, bars_of({symbol: [50.0 + n % 7 for n in range(30)] for symbol in symbols}))
    result = run(assets.universe, checks.universe_membership, span=Span(DAYS[0].day, DAYS[29].day))
    assert result.success
    assert verdict(result).passed
