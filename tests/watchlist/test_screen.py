"""Rules in their order, values with their bounds, ranks within the session, and the cut."""

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.watchlist.worlds import rules
from trading_assets.watchlist.screen import screened

DAYS = [date(2012, 3, 5) + timedelta(days=n) for n in range(3)]
GOOD = {
    "close": 50.0,
    "volume_mean_20": 1e6,
    "vol_20": 0.3,
    "mom_252_21": 0.1,
    "sma_200": 45.0,
    "atr_14": 1.0,
    "strategy_view": "trending_bull",
    "returns": 252,
}
TYPES = {
    name: pl.Int64() if name == "returns" else pl.String() if name == "strategy_view" else pl.Float64() for name in GOOD
}


def symbols(*changes: Mapping[str, object], day: date = DAYS[0]) -> pl.DataFrame:
    """One row per change of a good symbol, named S00, S01 and so on."""
    rows = [{"symbol": f"S{n:02}", "session": day, **GOOD, **change} for n, change in enumerate(changes)]
    return pl.DataFrame(rows, schema={"symbol": pl.String(), "session": pl.Date(), **TYPES})


def reasons(frame: pl.DataFrame, **changed: object) -> list[str | None]:
    return screened(frame, rules(**changed)).sort("session", "symbol")["reason"].to_list()


def test_a_good_symbol_passes_with_rank_and_levels() -> None:
    (row,) = screened(symbols({}), rules()).rows(named=True)
    assert row["reason"] is None
    assert (row["rank"], row["score"], row["stop"], row["target"]) == (1, 0.5, 48.0, 53.0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"close": 4.99, "volume_mean_20": 1e9}, "price 4.99 USD is below 5 USD"),
        ({"volume_mean_20": 99_999.0}, "dollar volume 4999950.0 USD is below 5e+06 USD"),
        ({"volume_mean_20": None}, "dollar volume has no value yet"),
        ({"vol_20": 0.81}, "volatility 0.81 is above 0.8"),
        ({"vol_20": None}, "volatility has no value yet"),
        ({"strategy_view": "mixed"}, "regime view mixed is not among trending_bull, mild_trend, range"),
        ({"strategy_view": None}, "there is no regime label yet"),
        ({"mom_252_21": None}, "mom_252_21 has no value yet"),
        ({"sma_200": None}, "sma_200 has no value yet"),
        ({"atr_14": None}, "atr_14 has no value yet"),
        ({"atr_14": 0.0}, "atr_14 is 0: the price does not move"),
        ({"atr_14": 25.0}, "stop 0.0 USD is not above 0: 2 x atr_14 exceeds the price"),
        ({"returns": 246}, "246 past returns in 252 sessions are fewer than 247"),
    ],
)
def test_each_refusal_names_value_and_bound(change: dict[str, object], sentence: str) -> None:
    (row,) = screened(symbols(change), rules()).rows(named=True)
    assert row["reason"] == sentence
    assert (row["rank"], row["score"], row["stop"], row["target"]) == (None, None, None, None)


@pytest.mark.parametrize(
    "change",
    [
        {"close": 5.0, "volume_mean_20": 1e6, "atr_14": 0.1},
        {"volume_mean_20": 100_000.0},
        {"vol_20": 0.8},
        {"returns": 247},
        {"atr_14": 24.9},
    ],
)
def test_a_value_that_equals_its_bound_passes(change: dict[str, object]) -> None:
    assert reasons(symbols(change)) == [None]


def test_a_value_that_is_not_a_number_refuses() -> None:
    nothing = float("nan")
    assert reasons(symbols({"close": nothing}, {"vol_20": nothing}, {"atr_14": nothing}, {"mom_252_21": nothing})) == [
        "price NaN USD is below 5 USD",
        "volatility NaN is above 0.8",
        "atr_14 has no value yet",
        "mom_252_21 has no value yet",
    ]


def test_the_first_rule_that_a_symbol_breaks_is_its_reason() -> None:
    bad = symbols({"close": 1.0, "vol_20": 2.0})
    price, volatility = ({"rule": "price_min", "usd": 5.0}, {"rule": "volatility_max", "fraction": 0.8})
    assert "price" in str(reasons(bad, screen=(price, volatility))[0])
    assert "volatility" in str(reasons(bad, screen=(volatility, price))[0])


def test_without_rules_only_what_a_simulation_needs_is_asked() -> None:
    assert reasons(symbols({"close": 1.0, "atr_14": 0.1, "strategy_view": None}), screen=()) == [None]


def test_the_score_ranks_momentum_trend_and_calm_and_equal_scores_go_by_symbol() -> None:
    frame = symbols({"mom_252_21": 0.3}, {"sma_200": 40.0}, {"vol_20": 0.1}, {}, {})
    by_rank = screened(frame, rules()).sort("rank")
    assert by_rank["symbol"].to_list() == ["S00", "S01", "S02", "S03", "S04"]
    only_calm = screened(frame, rules(score={"momentum": 0.0, "trend": 0.0, "calm": 1.0})).sort("rank")
    assert only_calm["symbol"].to_list()[0] == "S02"
    assert only_calm["score"].to_list() == [0.9, 0.4, 0.4, 0.4, 0.4]


def test_what_lies_beyond_the_cut_is_refused_with_its_rank() -> None:
    frame = symbols(*({"mom_252_21": n / 10} for n in range(4)))
    found = screened(frame, rules(candidates=3)).sort("rank")
    assert found["symbol"].to_list() == ["S03", "S02", "S01", "S00"]
    assert found["reason"].to_list() == [None, None, None, "rank 4 of 4 is beyond the 3 candidates"]
    assert found["stop"].is_null().to_list() == [False, False, False, True]


def test_sessions_are_ranked_apart() -> None:
    frame = pl.concat([symbols({"mom_252_21": 0.1}, {"mom_252_21": 0.2}, day=day) for day in DAYS])
    found = screened(frame, rules(candidates=1)).sort("session", "symbol")
    assert found["rank"].to_list() == [2, 1] * 3
    assert found["reason"].is_null().to_list() == [False, True] * 3


def test_a_screen_that_leaves_nothing_is_an_answer() -> None:
    found = screened(symbols({"close": 1.0}, {"close": 2.0}), rules())
    assert found.height == 2
    assert found["reason"].null_count() == 0
    assert screened(symbols(), rules()).is_empty()


@settings(deadline=None, max_examples=20)
@given(
    values=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12),
    cut=st.integers(1, 12),
    order=st.randoms(use_true_random=False),
)
def test_the_order_of_rows_does_not_matter_and_ranks_are_complete(
    values: list[tuple[int, int, int]], cut: int, order: object
) -> None:
    frame = symbols(*({"mom_252_21": m / 10, "sma_200": 40.0 + t, "vol_20": 0.1 + v / 10} for m, t, v in values))
    places = list(range(frame.height))
    order.shuffle(places)  # type: ignore[attr-defined]
    found = screened(frame, rules(candidates=cut)).sort("symbol")
    assert found.equals(screened(frame[places], rules(candidates=cut)).sort("symbol"), null_equal=True)
    assert sorted(found["rank"]) == list(range(1, frame.height + 1))
    assert found["reason"].is_null().sum() == min(cut, frame.height)
    best_first = found.sort("rank")["score"].to_list()
    assert best_first == sorted(best_first, reverse=True)
    assert sum(best_first) / len(best_first) == pytest.approx(0.5)
