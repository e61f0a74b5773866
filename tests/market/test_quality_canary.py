"""Canaries: the body of a market asset is replaced by a constant, and its gate turns red on a real Dagster instance."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml

from resources.desk import DeskResource
from resources.market_data.embedded import EmbeddedMarketData
from tests.market.frames import daily_row, minute_rows
from trading_assets.catalog import SINGLE_RUN, spec, stored
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT, Home
from trading_assets.core.tables import Table
from trading_assets.market import assets, checks
from trading_assets.market.model import CORPORATE_ACTIONS, CROSS_CHECK_BARS, DAILY_BARS, INTRADAY_BARS
from trading_assets.partitions import span_of

SPAN = Span(date(2012, 11, 1), date(2012, 11, 30))
SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
Body = Callable[[Session], list[dict[str, Any]]]
DAILY = {"daily_bars": assets.daily_bars, "corporate_actions": assets.corporate_actions}
DAILY |= {"cross_check_bars": assets.cross_check_bars}


def constant(table: Table, body: Body) -> dg.AssetsDefinition:
    """The asset of a table with another body: the same rows for every session."""

    @dg.multi_asset(specs=[spec(table, group="market", kinds={"python"})], name=table.name, backfill_policy=SINGLE_RUN)
    def replaced(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult[Any]:
        span = span_of(list(context.partition_keys))
        rows = [row for session in XNYS.sessions(span.first, span.last) for row in body(session)]
        frame = pl.DataFrame(rows, schema=dict(table.polars_schema()))
        return stored(table, desk.lake().write(table, table.conform(frame), span))

    return replaced


def run(*definitions: Any) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            definitions,
            resources={"desk": DeskResource()},
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags={
                "dagster/asset_partition_range_start": SPAN.first.isoformat(),
                "dagster/asset_partition_range_end": SPAN.last.isoformat(),
            },
        )


def run_daily(**replaced: dg.AssetsDefinition) -> dg.AssetCheckEvaluation:
    result = run(*(DAILY | replaced).values(), checks.daily_bars_quality)
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def failures(table: Table) -> list[str]:
    gates = DeskResource().gates().gates(table.name, SPAN)
    assert len(gates) == len(XNYS.sessions(SPAN.first, SPAN.last))
    return [f"{day} {sentence}" for day, gate in gates.items() for sentence in gate.failures]


def one_bar(session: Session) -> list[dict[str, Any]]:
    """The same sound bar for everybody."""
    return [daily_row(symbol, session, 100.0) for symbol in SYMBOLS]


def own_bars(session: Session) -> list[dict[str, Any]]:
    """A bar for each symbol that never changes."""
    return [daily_row(symbol, session, 100.0 + number) for number, symbol in enumerate(SYMBOLS)]


def one_price(session: Session) -> list[dict[str, Any]]:
    """Volumes that differ from day to day, and prices that are all the same."""
    flat = dict.fromkeys(("open", "high", "low", "close"), 50.0)
    busy = 1000.0 * session.day.day
    return [daily_row(symbol, session, 50.0, **flat, volume=busy + n) for n, symbol in enumerate(SYMBOLS)]


def zeros(session: Session) -> list[dict[str, Any]]:
    """Nothing at all, in the shape of bars."""
    nothing = dict.fromkeys(("open", "high", "low", "close", "volume"), 0.0)
    return [daily_row(symbol, session, 0.0, **nothing) for symbol in SYMBOLS]


def nothing(_: Session) -> list[dict[str, Any]]:
    return []


def action(session: Session, kind: str, ratio: float, amount: float) -> list[dict[str, Any]]:
    row = {"session": session.day, "kind": kind, "ratio": ratio, "amount": amount, "source": "test"}
    return [row | {"symbol": symbol, "knowable_at": session.open} for symbol in SYMBOLS]


@pytest.fixture
def with_second_source(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings with a second opinion from a folder of files that holds the embedded bars."""
    folder, config = tmp_path / "bars", tmp_path / "config"
    (folder / "daily").mkdir(parents=True)
    embedded = EmbeddedMarketData()
    for symbol in SYMBOLS:
        rows = embedded.bars(symbol, "1d", SPAN).rename({"session": "date"})
        rows.select("date", "open", "high", "low", "close", "volume").write_csv(folder / "daily" / f"{symbol}.csv")
    settings = yaml.safe_load((PROJECT / "config" / "settings.yaml").read_text())
    settings["market"] |= {"files_path": str(folder), "cross_check": {"provider": "files"}}
    config.mkdir()
    (config / "settings.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("DESK_CONFIG", str(config))


def test_the_bodies_as_they_are_pass(home: Home) -> None:
    assert run_daily().passed
    assert failures(DAILY_BARS) == []
    stored_second = DeskResource().lake().read(CROSS_CHECK_BARS, as_of=XNYS.session(SPAN.last).close)
    assert stored_second.is_empty()
    assert len(DeskResource().lake().versions(CROSS_CHECK_BARS, SPAN)) == len(XNYS.sessions(SPAN.first, SPAN.last))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (one_bar, "the same bar as"),
        (own_bars, "for 3 sessions in a row"),
        (one_price, "all symbols have the same prices"),
        (zeros, "above 0"),
        (nothing, "no bar of any symbol"),
    ],
)
def test_a_constant_body_of_daily_bars_turns_its_gate_red(home: Home, body: Body, words: str) -> None:
    evaluation = run_daily(daily_bars=constant(DAILY_BARS, body))
    assert not evaluation.passed
    assert any(words in sentence for sentence in failures(DAILY_BARS))


@pytest.mark.parametrize(
    ("kind", "ratio", "amount"), [("split", 2.0, 0.0), ("cash_dividend", 1.0, 0.1), ("cash_dividend", 1.0, 25.0)]
)
def test_a_constant_body_of_corporate_actions_turns_the_gate_of_bars_red(
    home: Home, kind: str, ratio: float, amount: float
) -> None:
    body = constant(CORPORATE_ACTIONS, lambda session: action(session, kind, ratio, amount))
    assert not run_daily(corporate_actions=body).passed
    assert failures(DAILY_BARS)


@pytest.mark.usefixtures("with_second_source")
def test_two_sources_that_agree_pass() -> None:
    assert run_daily().passed
    second = DeskResource().lake().read(CROSS_CHECK_BARS, as_of=XNYS.session(SPAN.last).close)
    assert set(second["source"]) == {"files"}
    assert second.height == 5 * len(XNYS.sessions(SPAN.first, SPAN.last))


@pytest.mark.usefixtures("with_second_source")
@pytest.mark.parametrize("body", [one_bar, own_bars, zeros, nothing])
def test_a_constant_body_of_the_second_source_turns_the_gate_of_bars_red(body: Body) -> None:
    assert not run_daily(cross_check_bars=constant(CROSS_CHECK_BARS, body)).passed
    assert len(failures(DAILY_BARS)) >= len(XNYS.sessions(SPAN.first, SPAN.last))


@pytest.mark.usefixtures("with_second_source")
def test_a_second_source_that_lacks_a_bar_closes_the_gate_of_that_session(tmp_path: Path) -> None:
    path, day = tmp_path / "bars" / "daily" / "IBM.csv", "2012-11-14"
    pl.read_csv(path).filter(pl.col("date") != day).write_csv(path)
    assert not run_daily().passed
    assert failures(DAILY_BARS) == [f"{day} IBM on {day}: embedded has a bar that cannot be confirmed: files has none"]


@pytest.mark.usefixtures("with_second_source")
def test_a_second_source_with_another_price_closes_the_gate_and_both_are_named(tmp_path: Path) -> None:
    path, day = tmp_path / "bars" / "daily" / "IBM.csv", "2012-11-14"
    close = pl.when(pl.col("date") == day).then(pl.col("close") * 0.99).otherwise(pl.col("close"))
    pl.read_csv(path).with_columns(close=close).write_csv(path)
    evaluation = run_daily()
    assert not evaluation.passed
    (sentence,) = failures(DAILY_BARS)
    assert sentence.startswith(f"{day} IBM on {day}: close ")
    assert "of embedded and" in sentence
    assert "of files are" in sentence


def minutes(session: Session) -> list[dict[str, Any]]:
    stuck = {"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0, "volume": 700.0}
    return [row | stuck for symbol in SYMBOLS[:2] for row in minute_rows(symbol, session)]


def early_minutes(session: Session) -> list[dict[str, Any]]:
    """Sound bars that move, all of them an hour before the session."""
    hour = timedelta(hours=1)
    rows = minute_rows("AAPL", session)
    return [row | {"start": row["start"] - hour, "close": row["close"] + n / 1e3} for n, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (minutes, "hold the same numbers"),
        (lambda session: [row for s in SYMBOLS[:2] for row in minute_rows(s, session)], "the same bars throughout"),
        (early_minutes, "outside the session"),
        (nothing, "no bar of any symbol"),
    ],
)
def test_a_constant_body_of_intraday_bars_turns_its_gate_red(home: Home, body: Body, words: str) -> None:
    result = run(constant(INTRADAY_BARS, body), checks.intraday_bars_quality)
    (evaluation,) = result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert any(words in sentence for sentence in failures(INTRADAY_BARS))


def test_a_return_after_years_of_silence_is_found_in_the_lake(home: Home) -> None:
    """The history that the check reads is two months long; the one bar from before it comes from the lake."""
    long_ago = XNYS.session(date(2009, 3, 2))
    lake, embedded = DeskResource().lake(), EmbeddedMarketData()
    old = embedded.bars("IBM", "1d", Span(long_ago.day, long_ago.day))
    lake.write(DAILY_BARS, old, Span(long_ago.day, long_ago.day))
    before = Span(date(2012, 8, 1), date(2012, 10, 31))
    others = pl.concat([embedded.bars(symbol, "1d", before) for symbol in SYMBOLS if symbol != "IBM"])
    lake.write(DAILY_BARS, DAILY_BARS.conform(others), before)
    assert not run_daily().passed
    told = failures(DAILY_BARS)
    assert len(told) == 1
    assert "IBM: back after" in told[0]
    assert "IBM-20090302" in told[0]
