"""Intervals of the headline measures: apart by evidence, the measure that stands beside them, honest about short records."""

from itertools import pairwise
from typing import Any

import polars as pl
import pytest

from tests.evaluation.books import CASH, Book, account, account_row, benchmark, day, trade_row, trades, walk
from tests.evaluation.measured import evidence_row, evidences
from trading_assets.evaluation.attribution import attribution
from trading_assets.evaluation.intervals import LEVEL, MEASURES, SEED, metric_intervals
from trading_assets.evaluation.model import ATTRIBUTION, BENCHMARK, METRIC_INTERVALS, SLIPPAGE
from trading_assets.evaluation.statistics import block_bootstrap, block_bootstrap_difference
from trading_assets.evaluation.summary import summarise
from trading_assets.plans.model import TRADE_PLANS, VOTES
from trading_assets.theses.model import THESES

SESSIONS = 60


def intervals(book: Book, labels: pl.DataFrame, slipped: pl.DataFrame | None = None) -> pl.DataFrame:
    empty = (TRADE_PLANS.empty(), VOTES.empty(), THESES.empty())
    shares = attribution(book.trades, *empty, labels, book="backtest")
    last = max(book.account["session"], default=day(1))
    costs = SLIPPAGE.empty() if slipped is None else slipped
    return metric_intervals(book.account, book.benchmark, shares, costs, labels, session=last, starting_cash=CASH)


def labelled(*kinds: str) -> pl.DataFrame:
    return evidences(*(evidence_row(number, kind) for number, kind in enumerate(kinds, start=1)))


def by_name(frame: pl.DataFrame, evidence: str) -> dict[str, dict[str, Any]]:
    return {row["measure"]: row for row in frame.filter(pl.col("evidence") == evidence).rows(named=True)}


LIVED = walk(SESSIONS)
RULED = intervals(LIVED, labelled(*["rules"] * SESSIONS))


def test_a_record_of_one_kind_is_told_once() -> None:
    assert set(RULED.filter(pl.col("measure").str.starts_with("return"))["evidence"]) == {"rules"}
    assert dict(RULED.schema) == dict(METRIC_INTERVALS.polars_schema())
    assert set(RULED["session"]) == {day(SESSIONS)}


def test_the_estimates_are_the_measures_of_the_record() -> None:
    summary = summarise(LIVED.account, LIVED.trades, starting_cash=CASH)
    assert by_name(RULED, "rules")["sharpe_ratio"]["estimate"] == pytest.approx(summary.sharpe_ratio, abs=1e-8)
    unlabelled = by_name(RULED, "unknown")
    assert unlabelled["win_rate_fraction"]["estimate"] == pytest.approx(summary.win_rate_fraction, abs=1e-8)
    assert unlabelled["profit_factor"]["estimate"] == pytest.approx(summary.profit_factor, abs=1e-8)


def test_an_interval_is_the_block_bootstrap_of_the_series_in_its_order() -> None:
    equity = [float(CASH), *map(float, LIVED.account["equity"])]
    returns = [now / then - 1 for then, now in pairwise(equity)]
    expected = block_bootstrap(returns, level=LEVEL, seed=SEED)
    row = by_name(RULED, "rules")["return_fraction_mean"]
    assert expected is not None
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high), abs=1e-9)
    held = [float(CASH), *map(float, LIVED.benchmark["equity"])]
    others = [now / then - 1 for then, now in pairwise(held)]
    paired = block_bootstrap_difference(returns, others, level=LEVEL, seed=SEED)
    assert paired is not None
    assert by_name(RULED, "rules")["excess_return_fraction_mean"]["low"] == pytest.approx(paired.low, abs=1e-9)


def test_kinds_of_evidence_are_told_apart_and_together_only_by_name() -> None:
    kinds = ["contaminated"] * 40 + ["clean"] * 20
    found = intervals(LIVED, labelled(*kinds))
    told = {kind: by_name(found, kind)["return_fraction_mean"] for kind in ("contaminated", "clean", "all")}
    assert {kind: row["observations"] for kind, row in told.items()} == {"contaminated": 40, "clean": 20, "all": 60}
    assert len({row["estimate"] for row in told.values()}) == 3


def test_a_session_that_nobody_labelled_is_unknown() -> None:
    assert by_name(intervals(LIVED, labelled(*["rules"] * 50)), "unknown")["return_fraction_mean"]["observations"] == 10


def test_a_short_record_has_its_estimate_and_no_interval() -> None:
    few = Book(
        account(account_row(1, 100_100), account_row(2, 100_050)), trades(), LIVED.positions, LIVED.fills, benchmark()
    )
    row = by_name(intervals(few, labelled("rules", "rules")), "rules")["return_fraction_mean"]
    assert (row["low"], row["high"], row["observations"]) == (None, None, 2)
    assert row["estimate"] == pytest.approx((0.001 - 50 / 100_100) / 2)


@pytest.mark.parametrize("sessions", [0, 1])
def test_hardly_any_record_says_how_little_it_is(sessions: int) -> None:
    some = account(*(account_row(n, 100_100) for n in range(1, sessions + 1)))
    one = Book(
        some, trades(*(trade_row(n, 5) for n in range(1, sessions + 1))), LIVED.positions, LIVED.fills, benchmark()
    )
    found = intervals(one, labelled("rules"))
    assert found["observations"].to_list() == [1] * found.height
    assert found["estimate"].null_count() == found.height
    assert found.height == 5 * sessions


def test_a_measure_of_which_nothing_was_seen_has_no_row() -> None:
    measures = set(RULED["measure"])
    assert "slippage_bp_mean" not in measures
    assert measures < set(MEASURES)
    empty = metric_intervals(
        account(),
        BENCHMARK.empty(),
        ATTRIBUTION.empty(),
        SLIPPAGE.empty(),
        evidences(),
        session=day(1),
        starting_cash=CASH,
    )
    assert empty.height == 0
