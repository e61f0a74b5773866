"""The assets in real Dagster runs, and checks that turn red for a constant, a gap, a wrong word or a wrong digit."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.desk import DeskResource
from resources.lake import ParquetLake
from tests.features.frames import embedded, from_returns, markets, span_of, splits_of
from tests.orchestration.homes import living_in
from tests.regimes.five_states import five_states
from trading_assets.catalog import SINGLE_RUN, key_of, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.settings import Home
from trading_assets.core.tables import Table
from trading_assets.features.liquidity import liquidity as liquidity_of
from trading_assets.features.model import LIQUIDITY
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, QUOTE_BARS
from trading_assets.partitions import span_of as sessions_of
from trading_assets.regimes import assets, audit, checks
from trading_assets.regimes.jump import second_opinions
from trading_assets.regimes.liquidity import liquidity_regimes
from trading_assets.regimes.model import LIQUIDITY_REGIMES, MARKET, REGIME_LABELS, REGIME_OPINIONS
from trading_assets.regimes.reference import expected_label, plain_bars, plain_splits
from trading_assets.regimes.rules import regime_labels

STORED = Span(date(2002, 6, 3), date(2006, 3, 31))
ASKED = Span(date(2006, 1, 3), date(2006, 3, 31))
ASSETS = [assets.regime_labels, assets.regime_opinions, assets.liquidity_regimes]
CHECKS = [
    checks.regime_labels_complete_and_recomputed,
    checks.regime_opinions_causal_and_recomputed,
    checks.liquidity_regimes_complete_and_consistent,
]
Change = Callable[[pl.DataFrame], pl.DataFrame]


@cache
def facts() -> tuple[pl.DataFrame, pl.DataFrame]:
    inside = pl.col("session").is_between(STORED.first, STORED.last)
    bars, actions = (frame.filter(inside) for frame in embedded())
    return bars, actions


@cache
def liquidity() -> pl.DataFrame:
    return liquidity_of(*facts(), QUOTE_BARS.empty(), span=STORED)


@cache
def labels() -> pl.DataFrame:
    return regime_labels(*facts(), span=ASKED)


@cache
def opinions() -> pl.DataFrame:
    return second_opinions(*facts(), labels(), span=ASKED)


@pytest.fixture
def desk_home(tmp_path: Path) -> Iterator[Home]:
    """A home with real bars and their liquidity."""
    with living_in(tmp_path / "home", clock="2006-03-31T17:00:00-05:00") as home:
        lake = ParquetLake(home.lake)
        for table, frame in ((DAILY_BARS, facts()[0]), (CORPORATE_ACTIONS, facts()[1]), (LIQUIDITY, liquidity())):
            lake.write(table, frame, STORED)
        yield home


def run(*made: Any, span: Span = ASKED) -> dg.ExecuteInProcessResult:
    tags = {
        "dagster/asset_partition_range_start": span.first.isoformat(),
        "dagster/asset_partition_range_end": span.last.isoformat(),
    }
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [*made], resources={"desk": DeskResource()}, instance=instance, tags=tags, raise_on_error=False
        )


def verdicts(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {one.check_name: one.passed for one in result.get_asset_check_evaluations()}


def read(home: Home, table: Table) -> pl.DataFrame:
    return ParquetLake(home.lake).read(table, as_of=XNYS.session(XNYS.last).close)


def constant(table: Table, change: Change, source: Callable[[], pl.DataFrame]) -> Any:
    """An asset of the table's key whose body stores `source` after `change`."""

    @dg.multi_asset(specs=[spec(table, group="regimes", kinds={"python"})], name=table.name, backfill_policy=SINGLE_RUN)
    def body(context: dg.AssetExecutionContext, desk: DeskResource) -> Any:
        span = sessions_of(context.partition_keys)
        return stored(table, desk.lake().write(table, change(source()), span))

    return body


# The assets


def test_a_run_stores_what_the_pure_functions_say_and_all_checks_pass(desk_home: Home) -> None:
    result = run(*ASSETS, *CHECKS)
    assert result.success
    assert verdicts(result) == {
        "complete_and_recomputed": True,
        "causal_and_recomputed": True,
        "complete_and_consistent": True,
    }
    assert read(desk_home, REGIME_LABELS).equals(labels())
    assert read(desk_home, REGIME_OPINIONS).equals(opinions())
    assert read(desk_home, LIQUIDITY_REGIMES).equals(liquidity_regimes(liquidity(), span=ASKED))
    assert opinions().height > 150


def metadata(result: dg.ExecuteInProcessResult, table: Table) -> Mapping[str, Any]:
    """All metadata of the table's last partition."""
    told: dict[str, Any] = {}
    for event in result.asset_materializations_for_node(table.name):
        if event.partition == ASKED.last.isoformat():
            told.update(event.metadata)
    return told


def test_history_agreement_and_liquidity_are_shown_at_the_last_partition(desk_home: Home) -> None:
    result = run(*ASSETS)
    shown = metadata(result, REGIME_LABELS)
    assert shown["sessions_in_history"].value == labels()["session"].n_unique()
    columns = [column.name for column in shown["transitions"].schema.columns]
    assert columns == ["from", "to", "count", "probability", "probability_low", "probability_high"]
    assert sum(record.data["sessions"] for record in shown["persistence"].records) == labels().height
    agreement = metadata(result, REGIME_OPINIONS)["agreement_with_rules"].records
    assert {record.data["symbol"] for record in agreement} == set(opinions()["symbol"])
    assert {record.data["regime"] for record in metadata(result, LIQUIDITY_REGIMES)["persistence"].records} >= {
        "normal"
    }
    first = [
        event
        for event in result.asset_materializations_for_node(REGIME_LABELS.name)
        if event.partition == ASKED.first.isoformat()
    ]
    assert all("transitions" not in event.metadata for event in first)


def test_history_of_one_session_is_that_of_all_stored_sessions(desk_home: Home) -> None:
    run(assets.regime_labels, span=Span(ASKED.first, date(2006, 3, 30)))
    result = run(assets.regime_labels, span=Span(ASKED.last, ASKED.last))
    assert metadata(result, REGIME_LABELS)["sessions_in_history"].value == labels()["session"].n_unique()


def test_two_ranges_make_what_one_range_makes(desk_home: Home) -> None:
    for span in (Span(ASKED.first, date(2006, 2, 10)), Span(date(2006, 2, 13), ASKED.last)):
        assert run(*ASSETS, *CHECKS, span=span).success
    assert read(desk_home, REGIME_LABELS).equals(labels())
    assert read(desk_home, REGIME_OPINIONS).equals(opinions())


def test_the_checks_of_what_decisions_read_block_and_the_second_opinions_does_not() -> None:
    blocking = {key.name: s.blocking for check in CHECKS for s in check.check_specs for key in [s.key]}
    assert blocking == {
        "complete_and_recomputed": True,
        "complete_and_consistent": True,
        "causal_and_recomputed": False,
    }


# Canaries


def always(word: str) -> Change:
    return lambda frame: frame.with_columns(regime=pl.lit(word))


CONSTANTS = [
    pytest.param(REGIME_LABELS, always("ranging"), labels, "complete_and_recomputed", id="labels"),
    pytest.param(
        REGIME_LABELS,
        lambda frame: always("ranging")(frame).with_columns(since=pl.col("session").min(), probability=pl.lit(1.0)),
        labels,
        "complete_and_recomputed",
        id="labels that contradict nothing",
    ),
    pytest.param(REGIME_LABELS, lambda frame: frame.clear(), labels, "complete_and_recomputed", id="no labels"),
    pytest.param(REGIME_OPINIONS, always("ranging"), opinions, "causal_and_recomputed", id="opinions"),
    pytest.param(REGIME_OPINIONS, lambda frame: frame.clear(), opinions, "causal_and_recomputed", id="no opinions"),
    pytest.param(
        LIQUIDITY_REGIMES,
        always("normal"),
        lambda: liquidity_regimes(liquidity().with_columns(amihud_20=pl.lit(None, dtype=pl.Float64)), span=ASKED),
        "complete_and_consistent",
        id="liquidity",
    ),
]


@pytest.mark.parametrize(("table", "change", "source", "name"), CONSTANTS)
def test_a_constant_body_turns_the_check_red(
    desk_home: Home, table: Table, change: Change, source: Callable[[], pl.DataFrame], name: str
) -> None:
    if table is REGIME_OPINIONS:
        ParquetLake(desk_home.lake).write(REGIME_LABELS, labels(), ASKED)
    (check,) = (one for one in CHECKS if next(iter(one.check_specs)).name == name)
    result = run(constant(table, change, source), check)
    assert verdicts(result) == {name: False}
    assert result.success is (table is REGIME_OPINIONS), "a blocking check fails the run"


def changed_row(frame: pl.DataFrame, **values: Any) -> pl.DataFrame:
    """The frame with one row of IBM in the middle of the span altered."""
    at = (pl.col("symbol") == "IBM") & (pl.col("session") == date(2006, 2, 15))
    return frame.with_columns(
        pl.when(at).then(pl.lit(value, dtype=frame.schema[name])).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"regime": "sideways"}, "no known word"),
        ({"strategy_view": "bull"}, "no known word"),
        ({"probability": 1.2}, "not within 0 and 1"),
        ({"probability": -0.1}, "not within 0 and 1"),
        ({"volatility_percentile": 1.01}, "not within 0 and 1"),
        ({"trend_strength": float("nan")}, "not finite"),
        ({"adx_14": float("inf")}, "not finite"),
        ({"since": date(2006, 2, 16)}, "since is wrong"),
        ({"since": date(2006, 2, 14)}, "since is wrong"),
    ],
)
def test_a_strange_label_is_named_with_symbol_and_session(values: dict[str, Any], says: str) -> None:
    findings = audit.strange_labels(changed_row(labels(), **values))
    assert findings
    assert any(says in finding and "2006-02-15 IBM" in finding for finding in findings)


def test_sound_labels_have_no_finding() -> None:
    assert audit.strange_labels(labels()) == []
    assert audit.missing_labels(facts()[0], labels(), ASKED) == []
    assert audit.miscomputed_labels(*facts(), labels()) == []
    assert audit.strange_opinions(labels(), opinions()) == []


@pytest.mark.parametrize("symbol", ["IBM", MARKET])
def test_a_missing_label_and_one_too_many_are_named(symbol: str) -> None:
    gone = labels().filter((pl.col("symbol") != symbol) | (pl.col("session") != date(2006, 2, 15)))
    assert audit.missing_labels(facts()[0], gone, ASKED) == [f"2006-02-15 {symbol}: no label"]
    more = pl.concat([labels(), labels().head(1).with_columns(symbol=pl.lit("ZZZ"))])
    assert audit.missing_labels(facts()[0], more, ASKED) == ["2006-01-03 ZZZ: a label without the history for it"]


@given(markets(sessions_min=266, sessions_max=290))
@settings(deadline=None, max_examples=12)
def test_completeness_is_what_the_rules_do_for_any_market(market: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    span = span_of(market[0])
    assert audit.missing_labels(market[0], regime_labels(*market, span=span), span) == []


@pytest.mark.parametrize("name", ["volatility_percentile", "trend_strength", "adx_14", "probability"])
def test_a_wrong_digit_in_a_sampled_row_is_seen(name: str) -> None:
    wrong = labels().with_columns(pl.col(name) + 0.01)
    findings = audit.miscomputed_labels(*facts(), wrong)
    assert len(findings) == audit.SAMPLED
    assert all(name in finding and "computed again" in finding for finding in findings)


def test_labels_that_know_the_next_session_are_seen() -> None:
    ahead = (
        labels()
        .sort("symbol", "session")
        .with_columns(pl.col("trend_strength", "adx_14", "volatility_percentile").shift(-1).over("symbol"))
    )
    assert audit.miscomputed_labels(*facts(), ahead.drop_nulls())


@given(st.integers(0, 999))
@settings(deadline=None, max_examples=8)
def test_the_plain_reference_says_what_the_rules_say_of_made_regimes(seed: int) -> None:
    bars, _ = five_states(seed, segments=8)
    told = regime_labels(bars, splits_of(), span=span_of(bars)).filter(pl.col("symbol") == "AAA")
    own = plain_bars(bars)
    for row in told.sample(12, seed=seed).rows(named=True):
        expected = expected_label(own, [], row["session"])
        assert expected is not None
        assert expected.adx_14 == pytest.approx(row["adx_14"])
        if expected.sure:
            assert (expected.regime, expected.since) == (row["regime"], row["since"])
            assert expected.probability == pytest.approx(row["probability"])


def test_the_plain_reference_knows_splits_and_needs_267_bars() -> None:
    bars, actions = embedded()
    told = regime_labels(bars, actions, span=Span(date(2005, 2, 25), date(2005, 3, 4)))
    own, splits = plain_bars(bars.filter(pl.col("symbol") == "AAPL")), plain_splits(actions, "AAPL")
    for row in told.filter(pl.col("symbol") == "AAPL").rows(named=True):
        expected = expected_label(own, splits, row["session"])
        assert expected is not None
        assert expected.trend_strength == pytest.approx(row["trend_strength"])
    days = list(own)
    assert expected_label(own, splits, days[265]) is None
    assert expected_label(own, splits, days[266]) is not None
    assert expected_label(own, splits, date(2005, 2, 27)) is None


def test_a_flat_price_is_labelled_and_the_reference_agrees() -> None:
    bars = from_returns("AAA", pl.zeros(300, eager=True).to_numpy())
    told = regime_labels(bars, splits_of(), span=span_of(bars))
    assert audit.miscomputed_labels(bars, splits_of(), told) == []


# Liquidity and opinions


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"regime": "liquid"}, "no known word"),
        ({"regime": "stressed"}, "its numbers say normal"),
        ({"since": date(2006, 2, 14)}, "since is wrong"),
        ({"basis": "quotes"}, "not that of the liquidity table"),
        ({"spread_ratio": 9.0}, "its numbers say stressed"),
    ],
)
def test_a_strange_liquidity_regime_is_named(values: dict[str, Any], says: str) -> None:
    sound = liquidity_regimes(liquidity(), span=ASKED)
    asked = liquidity().filter(pl.col("session").is_between(ASKED.first, ASKED.last))
    assert audit.strange_liquidity(asked, sound) == []
    findings = audit.strange_liquidity(asked, changed_row(sound, **values))
    assert any(says in finding and "2006-02-15 IBM" in finding for finding in findings), findings


def test_rows_of_liquidity_without_a_regime_are_named() -> None:
    sound = liquidity_regimes(liquidity(), span=ASKED)
    asked = liquidity().filter(pl.col("session").is_between(ASKED.first, ASKED.last))
    gone = sound.filter((pl.col("symbol") != "IBM") | (pl.col("session") != date(2006, 3, 31)))
    assert audit.strange_liquidity(asked, gone) == ["2006-03-31 IBM: no regime"]
    assert audit.strange_liquidity(asked.filter(pl.col("symbol") != "IBM"), sound)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"regime": "up"}, "no known word"),
        ({"fitted_through": date(2006, 2, 14)}, "fitted on its own year"),
        ({"agrees": None}, "agrees is wrong"),
    ],
)
def test_a_strange_opinion_is_named(values: dict[str, Any], says: str) -> None:
    findings = audit.strange_opinions(labels(), changed_row(opinions(), **values))
    assert any(says in finding and "2006-02-15 IBM" in finding for finding in findings), findings


def test_what_is_sampled_does_not_depend_on_the_order_of_rows() -> None:
    assert audit.sampled_session(opinions()) == audit.sampled_session(opinions().reverse())
    assert audit.sampled_session(opinions().clear()) is None


def test_keys_and_dependencies_are_the_tables() -> None:
    keys = {key for asset in ASSETS for key in asset.keys}
    assert keys == {key_of(table) for table in (REGIME_LABELS, REGIME_OPINIONS, LIQUIDITY_REGIMES)}
    assert assets.liquidity_regimes.dependency_keys == {key_of(LIQUIDITY)}
    assert key_of(REGIME_LABELS) in assets.regime_opinions.dependency_keys
