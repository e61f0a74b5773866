"""The whole list: who is selected and why, the same bits however asked (F5), and no future (F6)."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.frames import scrambled_after, splits_of
from tests.watchlist.worlds import facts_of, listed, made, real, rules
from trading_assets.core.ports import Span
from trading_assets.watchlist.facts import Facts
from trading_assets.watchlist.model import MEASURES, METHODS, WATCHLIST

FREE = rules(screen=(), window_sessions=60, window_missing_max=3)


def until(facts: Facts, day: date) -> Facts:
    """What was known on a day."""
    known = pl.col("session") <= day
    return Facts(*(frame.filter(known) for frame in (facts.bars, facts.actions, facts.panel, facts.labels)))


def days_of(span: Span, facts: Facts) -> list[date]:
    return facts.panel["session"].unique().sort().to_list()


# What it says


def test_real_symbols_give_one_row_each_with_a_reason() -> None:
    facts, span = real()
    rows = listed(facts, span, rules())
    assert rows.select("session", "symbol").equals(facts.panel.select("session", "symbol"))
    assert rows["selected"].any()
    assert not rows["selected"].all()
    assert rows["reason"].str.len_chars().min() > 5  # type: ignore[operator]
    assert rows.filter("selected")["reason"].str.contains("reach").all()


def test_selected_rows_pass_both_bounds_under_both_methods_and_others_break_one() -> None:
    facts, span = real()
    how = rules()
    rows = listed(facts, span, how).filter(pl.col("stop").is_not_null())
    passes = pl.all_horizontal(
        *(pl.col(f"p_target_{method}") >= how.filter.p_target_min for method in METHODS),
        *(pl.col(f"expected_return_{method}") - how.filter.cost_bp / 1e4 > 0 for method in METHODS),
    )
    assert rows.filter(passes != pl.col("selected")).is_empty()
    for name in ("p(target) by bootstrap", "expected return after costs by bootstrap"):
        assert rows.filter(~pl.col("selected"))["reason"].str.contains(name, literal=True).any()


def test_levels_stand_around_the_close_by_the_average_true_range() -> None:
    facts, span = made()
    rows = listed(facts, span, FREE).join(
        facts.panel.select("session", "symbol", "close", "atr_14"), on=["session", "symbol"]
    )
    assert (rows["reference"] == rows["close"]).all()
    assert rows["stop"].to_list() == pytest.approx((rows["close"] - 2 * rows["atr_14"]).to_list())
    assert rows["target"].to_list() == pytest.approx((rows["close"] + 3 * rows["atr_14"]).to_list())


def test_refused_rows_have_no_odds_and_candidates_have_all() -> None:
    facts, span = real()
    rows = listed(facts, span, rules())
    odds = [f"{name}_{method}" for method in METHODS for name in MEASURES]
    refused = pl.col("stop").is_null()
    assert rows.filter(refused).select(pl.col(odds).is_null().all()).row(0) == (True,) * len(odds)
    assert rows.filter(~refused).select(pl.col(odds).is_finite().all()).row(0) == (True,) * len(odds)
    assert not rows.filter(refused)["selected"].any()


def test_a_screen_that_leaves_nothing_leaves_rows_with_reasons() -> None:
    facts, span = made()
    rows = listed(facts, span, rules(screen=({"rule": "price_min", "usd": 1e9},)))
    assert rows.height == 80
    assert not rows["selected"].any()
    assert rows["reason"].str.contains("below 1e[+]09 USD").all()


def test_no_facts_are_an_empty_list() -> None:
    facts, span = made()
    nothing = Facts(*(frame.clear() for frame in (facts.bars, facts.actions, facts.panel, facts.labels)))
    rows = listed(nothing, span, FREE)
    assert rows.is_empty()
    assert dict(rows.schema) == dict(WATCHLIST.polars_schema())


def test_a_young_symbol_is_refused_with_how_many_returns_it_has() -> None:
    facts, span = made()
    rows = listed(facts, span, rules(screen=(), window_sessions=330, window_missing_max=5))
    newest = rows.filter(pl.col("session") == span.last)
    assert newest["stop"].is_not_null().all()
    oldest = rows.filter(pl.col("session") == span.first)
    assert set(oldest["reason"]) == {"310 past returns in 330 sessions are fewer than 325"}


def test_a_filter_that_asks_too_much_says_so_and_one_that_asks_nothing_selects_what_earns() -> None:
    facts, span = made()
    strict = listed(facts, span, rules(screen=(), filter={"p_target_min": 1.0, "cost_bp": 0.0}))
    assert strict["reason"].str.contains("is below 1").all()
    mild = listed(facts, span, rules(screen=(), filter={"p_target_min": 0.0, "cost_bp": 0.0}))
    earns = pl.all_horizontal(pl.col(f"expected_return_{method}") > 0 for method in METHODS)
    assert mild.filter(earns != pl.col("selected")).is_empty()


def test_costs_alone_can_refuse() -> None:
    facts, span = made()
    free, dear = (
        listed(facts, span, rules(screen=(), filter={"p_target_min": 0.0, "cost_bp": cost})) for cost in (0.0, 1000.0)
    )
    assert free["selected"].any()
    assert not dear["selected"].any()
    assert dear["reason"].str.contains("expected return after costs by bootstrap").all()


def test_another_seed_gives_other_odds_within_their_errors_and_the_same_levels() -> None:
    facts, span = made()
    one, other = (listed(facts, span, rules(screen=(), seed=seed, paths=4_000)) for seed in (1, 2))
    assert one["stop"].equals(other["stop"])
    for method in METHODS:
        apart = (one[f"p_target_{method}"] - other[f"p_target_{method}"]).abs()
        assert (apart > 0).any()
        assert (apart < 6 * one[f"p_target_se_{method}"]).all()


# F5: the same bits however asked


@pytest.mark.parametrize("world", [real, made])
def test_one_session_at_a_time_from_what_was_known_then_is_the_whole_to_the_bit(world: object) -> None:
    facts, span = world()  # type: ignore[operator]
    how = rules() if world is real else FREE
    whole = listed(facts, span, how)
    single = [listed(until(facts, day), Span(day, day), how) for day in days_of(span, facts)]
    assert pl.concat(single).equals(whole, null_equal=True)


@settings(deadline=None, max_examples=10)
@given(cut=st.integers(1, 19), workers=st.integers(1, 4))
def test_two_halves_by_any_number_of_threads_are_the_whole_to_the_bit(cut: int, workers: int) -> None:
    facts, span = made()
    days = days_of(span, facts)
    earlier = listed(until(facts, days[cut - 1]), Span(days[0], days[cut - 1]), FREE, workers)
    later = listed(facts, Span(days[cut], days[-1]), FREE, workers)
    assert pl.concat([earlier, later]).equals(listed(facts, span, FREE, 1), null_equal=True)


def test_bars_before_the_window_do_not_matter() -> None:
    facts, span = made()
    first = days_of(span, facts)[0]
    begin = facts.bars["session"].unique().sort()
    short = facts.bars.filter(pl.col("session") >= begin[begin.to_list().index(first) - FREE.window_sessions])
    trimmed = Facts(short, facts.actions, facts.panel, facts.labels)
    assert listed(trimmed, span, FREE).equals(listed(facts, span, FREE), null_equal=True)


def test_the_order_of_rows_does_not_matter() -> None:
    facts, span = real()
    mixed = [
        f.sample(fraction=1.0, shuffle=True, seed=3) for f in (facts.bars, facts.actions, facts.panel, facts.labels)
    ]
    assert listed(Facts(*mixed), span, rules()).equals(listed(facts, span, rules()), null_equal=True)


@settings(deadline=None, max_examples=8)
@given(chosen=st.sets(st.sampled_from(["AAA", "BBB", "CCC", "DDD"]), min_size=1))
def test_other_symbols_change_no_odds(chosen: set[str]) -> None:
    facts, span = made()
    some = pl.col("symbol").is_in(sorted(chosen))
    part = Facts(*(frame.filter(some) for frame in (facts.bars, facts.actions, facts.panel, facts.labels)))
    apart = pl.exclude("rank", "score")
    together = listed(facts, span, FREE).filter(some)
    assert listed(part, span, FREE).select(apart).equals(together.select(apart), null_equal=True)


# F6: no future


@settings(deadline=None, max_examples=12)
@given(place=st.integers(0, 18), seed=st.integers(0, 999))
def test_altering_the_future_changes_nothing(place: int, seed: int) -> None:
    """Later prices move, later bars vanish, a split is announced: the rows up to the session stay as they were."""
    facts, span = made()
    day = days_of(span, facts)[place]
    bars = scrambled_after(facts.bars, day, seed=seed)
    announced = pl.concat([facts.actions.filter(pl.col("session") <= day), splits_of(("BBB", span.last, 5.0))])
    other = facts_of(bars, announced, span)
    past = pl.col("session") <= day
    assert listed(other, span, FREE).filter(past).equals(listed(facts, span, FREE).filter(past), null_equal=True)


def test_a_row_is_knowable_with_the_bar_that_it_was_made_from() -> None:
    facts, span = real()
    rows = listed(facts, span, rules())
    joined = rows.join(
        facts.bars.select("session", "symbol", pl.col("knowable_at").alias("bar")), on=["session", "symbol"]
    )
    assert joined.height == rows.height
    assert (joined["knowable_at"] == joined["bar"]).all()
