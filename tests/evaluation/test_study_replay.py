"""A trade of the record with other parameters: moved in the plan's own unit, played on the same bars, nothing seen that was not."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.books import day
from tests.evaluation.pasts import LIMITS, NEAR, history, idea, market, past, tuned_by, walk
from trading_assets.core.parameters import Change, Parameters, Tuned
from trading_assets.evaluation.study_replay import moved_plan, past_trades, replay
from trading_assets.execution.orders import intent_for
from trading_assets.signatures.model import Verdict

BASE = Parameters()
# It rises to 106 and falls back to 99, then to 95.
RISE_AND_FALL = (
    (100.0, 101.0, 99.5, 101.0),
    (101.0, 106.0, 101.0, 105.0),
    (105.0, 105.0, 99.0, 99.0),
    (99.0, 99.0, 95.0, 95.0),
)


def moved(**values: Any) -> Any:
    return moved_plan(idea(), 10, BASE, BASE.with_values(values), LIMITS)


def test_a_bracket_moves_in_the_true_ranges_that_the_plan_itself_shows() -> None:
    plan, quantity = moved(stop_atr=1.75, target_atr=3.6)
    assert (plan.stop, plan.target, plan.entry, quantity) == (Decimal("96.50"), Decimal("107.20"), Decimal(100), 10)


def test_a_short_bracket_moves_to_its_own_side() -> None:
    short = idea(side="short", stop=Decimal(104), target=Decimal("93.60"))
    found = moved_plan(short, 10, BASE, BASE.with_values({"stop_atr": 1.5, "target_atr": 4.0}), LIMITS)
    assert found is not None
    assert (found[0].stop, found[0].target) == (Decimal(103), Decimal(92))


def test_an_intraday_bracket_moves_in_fractions_of_its_entry() -> None:
    plan = idea(strategy="vwap_momentum", stop=Decimal("99.20"), target=Decimal("101.40"), flat_by_close=True)
    found = moved_plan(plan, 10, BASE, BASE.with_values({"stop_fraction": 0.007, "target_fraction": 0.016}), LIMITS)
    assert found is not None
    assert (found[0].stop, found[0].target) == (Decimal("99.30"), Decimal("101.60"))


@pytest.mark.parametrize("strategy", ["pullback", "mean_reversion"])
def test_a_strategy_with_levels_of_its_own_is_not_moved(strategy: str) -> None:
    plan = idea(strategy=strategy)
    assert moved_plan(plan, 10, BASE, BASE.with_values({"target_atr": 6.0}), LIMITS) == (plan, 10)


def test_the_size_follows_the_stop_where_risk_sets_it_and_the_wanted_position_otherwise() -> None:
    risky = LIMITS.model_copy(update={"risk_per_trade_fraction_max": 0.001})
    nearer = moved_plan(idea(), 10, BASE, BASE.with_values({"stop_atr": 1.0}), risky)
    assert nearer is not None
    assert nearer[1] == 20, "half the distance, twice the shares"
    assert moved(position_fraction=0.04)[1] == 8
    assert moved(position_fraction=0.10)[1] == 10, "the limit allows no more"
    assert moved_plan(idea(), 10, BASE, BASE.with_values({"position_fraction": 0.04}), risky) == (idea(), 10)


def test_what_the_limits_would_have_refused_is_not_opened() -> None:
    strict = LIMITS.model_copy(update={"stop_distance_fraction_min": 0.03})
    assert moved_plan(idea(), 10, BASE, BASE.with_values({"stop_atr": 1.25}), strict) is None
    worth = LIMITS.model_copy(update={"reward_to_risk_min": 1.7})
    assert moved_plan(idea(), 10, BASE, BASE.with_values({"target_atr": 3.3}), worth) is None


def test_a_replay_ends_at_stop_target_or_where_the_desk_left() -> None:
    happened = market(walk("AAPL", 1, *RISE_AND_FALL))
    as_it_was = replay(idea(), 10, happened)
    assert (as_it_was.ended, as_it_was.pnl_usd, as_it_was.closed) == ("closed", Decimal(-40), day(4))
    left = replay(idea(), 10, happened, left=day(3))
    assert (left.pnl_usd, left.closed) == (Decimal(50), day(3))
    nearer = replay(idea(target=Decimal(105)), 10, happened)
    assert (nearer.pnl_usd, nearer.closed) == (Decimal(50), day(2))


def test_a_short_replay_gains_when_the_price_falls() -> None:
    short = idea(side="short", stop=Decimal(104), target=Decimal("93.60"))
    fell = market(walk("AAPL", 1, (100.5, 101.0, 99.5, 100.0), (100.0, 100.0, 93.0, 93.5)))
    found = replay(short, 10, fell)
    assert found.ended == "closed"
    assert found.pnl_usd == 10 * (Decimal("100.5") - Decimal("93.60"))


def test_a_position_is_sold_when_its_strategy_holds_no_longer() -> None:
    quiet = market(walk("AAPL", 1, *[(100.0, 101.0, 99.0, 100.5)] * 40))
    found = replay(idea(), 10, quiet)
    assert (found.ended, found.closed) == ("closed", day(21))


def test_an_entry_that_never_filled_gains_nothing() -> None:
    found = replay(idea(), 10, market(walk("AAPL", 1, (103.0, 104.0, 102.0, 103.0))))
    assert (found.ended, found.pnl_usd) == ("not filled", Decimal(0))


def test_a_gain_is_the_difference_to_the_trade_as_it_was() -> None:
    told = history([past(idea())], walk("AAPL", 1, *RISE_AND_FALL))
    assert told.gains({"target_atr": 2.8, "stop_atr": 1.75}) == (Decimal(10 * 4) + Decimal(10) * Decimal("5.6"),)
    assert told.gains({"target_atr": 3.6}) == (Decimal(0),), "a farther target is as far out of reach"


def test_what_the_values_would_not_have_changed_counts_for_nothing() -> None:
    other = idea(strategy="pullback")
    assert history([past(other)], walk("AAPL", 1, *RISE_AND_FALL)).gains({"target_atr": 2.8}) == ()
    assert history([past(idea())], walk("AAPL", 1, *RISE_AND_FALL)).gains({"target_atr": 3.2}) == ()
    assert history([past(idea())], walk("AAPL", 1, *RISE_AND_FALL)).gains({"stop_atr": 3.0}) == (), "not admissible"


def test_a_step_starts_from_what_was_in_force_on_the_day_of_the_trade() -> None:
    changed = Tuned(NEAR.base, (Change("target_atr", 4.0, day(10)),))
    early, late = idea(stop=Decimal("96.50")), idea(11, stop=Decimal("96.50"), target=Decimal(108))
    rows = [*walk("AAPL", 1, *RISE_AND_FALL), *walk("AAPL", 11, *RISE_AND_FALL)]
    told = history([past(early), past(late, closed=15)], rows, changed)
    assert told.gains_by_steps({"target_atr": -1}) == (Decimal(35) + 56, Decimal(0)), "5.60 is reached, 7.20 is not"


def test_a_trade_that_would_not_have_been_opened_gains_what_it_lost() -> None:
    strict = history([past(idea())], walk("AAPL", 1, *RISE_AND_FALL), tuned_by())
    tight = type(strict)(
        strict.trades, strict.tuned, strict.market, LIMITS.model_copy(update={"stop_distance_fraction_min": 0.038})
    )
    assert tight.gains({"stop_atr": 1.75}) == (Decimal(40),)


@settings(deadline=None, max_examples=40)
@given(
    closes=st.lists(st.floats(80, 120).map(lambda price: round(price, 2)), min_size=2, max_size=25),
    seen=st.integers(1, 24),
)
def test_bars_after_the_last_session_never_change_a_replay(closes: list[float], seen: int) -> None:
    known = min(seen, len(closes) - 1)
    rows = [row for n, close in enumerate(closes, 1) for row in walk("AAPL", n, (close, close, close, close))]
    assert replay(idea(), 10, market(rows, last=known)) == replay(idea(), 10, market(rows[:known], last=known))


def test_trades_are_found_again_by_the_intents_that_opened_them() -> None:
    from tests.evaluation.books import trade_row, trades

    approved = Verdict(signer="risk_gate", plan_id="", plan_digest="", ruling="approve", quantity=7, breaches=())
    made = intent_for(idea(), approved, book="desk", limits_hash="")
    told = trades(
        trade_row(4, -40, trade_id=made.id, exit_reason="exit", side="long"),
        trade_row(5, 9, trade_id="unknown", side="long"),
    )
    (found,) = past_trades(told, [made])
    assert (found.plan, found.quantity, found.closed, found.left) == (idea(), 7, day(4), day(4))
