"""Refused entries, played as if they had been approved."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.books import FREE, PAPER, actions, bar_row, bars, day, plan, split_row, verdicts
from trading_assets.core.calendar import XNYS
from trading_assets.core.slots import Slot
from trading_assets.evaluation.vetoed import SESSIONS_MAX, VetoOutcome, veto_outcomes
from trading_assets.execution.model import Costs
from trading_assets.market.model import INTRADAY_BARS
from trading_assets.plans.model import TRADE_PLANS, TradePlan
from trading_assets.plans.trader import plan_rows


def played(
    given_bars: Sequence[dict[str, Any]],
    *,
    of: TradePlan | None = None,
    ruling: str = "veto",
    last: date | None = None,
    costs: Costs = FREE,
    due: Sequence[dict[str, Any]] = (),
) -> tuple[VetoOutcome, ...]:
    judged = of or plan(1)
    session = XNYS.session(judged.session)
    plans = TRADE_PLANS.frame(plan_rows([judged], Slot(session, "09:30", session.open)))
    asked = verdicts((judged, ruling, "cash,sector"))
    return veto_outcomes(asked, plans, bars(*given_bars), actions(*due), last=last or day(60), costs=costs)


def test_an_entry_that_reaches_its_target_would_have_won() -> None:
    [found] = played([bar_row(1, 98, 99), bar_row(2, 105, 112)])
    assert found.outcome == "closed"
    assert found.pnl_usd == 10 * (110 - 98)
    assert (found.symbol, found.strategy, found.controls) == ("AAPL", "pullback", ("cash", "sector"))


def test_an_entry_that_falls_to_its_stop_would_have_lost() -> None:
    [found] = played([bar_row(1, 98, 99), bar_row(2, 97, 94)])
    assert found.outcome == "closed"
    assert found.pnl_usd == 10 * (95 - 98)


def test_an_entry_whose_limit_was_never_met_earns_nothing() -> None:
    [found] = played([bar_row(1, 101, 103), bar_row(2, 90, 120)])
    assert found.outcome == "not filled"
    assert found.pnl_usd == 0


def test_an_entry_without_any_bar_is_not_filled() -> None:
    assert [found.outcome for found in played([])] == ["not filled"]


def test_an_entry_that_is_still_held_is_valued_at_the_last_close() -> None:
    [found] = played([bar_row(1, 98, 99), bar_row(2, 100, 104), bar_row(3, 104, 105)], last=day(2))
    assert found.outcome == "still open"
    assert found.pnl_usd == 10 * (104 - 98)


def test_nothing_after_the_last_session_is_looked_at() -> None:
    seen = [bar_row(1, 98, 99), bar_row(2, 100, 104)]
    assert played([*seen, bar_row(3, 130, 130)], last=day(2)) == played(seen, last=day(2))


def test_a_trade_is_followed_for_a_limited_number_of_sessions() -> None:
    quiet = [bar_row(n, 100, 100.5) for n in range(2, SESSIONS_MAX + 1)]
    [found] = played([bar_row(1, 98, 99), *quiet, bar_row(SESSIONS_MAX + 1, 120, 120)])
    assert found.outcome == "still open"
    assert found.pnl_usd == Decimal("25.0")


def test_fees_and_slippage_are_paid() -> None:
    """Entry and stop pay 1.00 each; the stop at 95 slips by two basis points to 94.98."""
    [found] = played([bar_row(1, 98, 99), bar_row(2, 97, 94)], costs=PAPER)
    assert found.pnl_usd == 10 * (Decimal("94.98") - 98) - 2


def test_fees_that_are_free_do_not_make_a_filled_entry_look_unfilled() -> None:
    [found] = played([bar_row(1, 98, 99)], last=day(1))
    assert found.outcome == "still open"


def test_a_split_on_the_way_changes_nothing_of_value() -> None:
    [found] = played([bar_row(1, 98, 99), bar_row(2, 50, 56)], due=[split_row(2, 2.0)])
    assert found.outcome == "closed"
    assert found.pnl_usd == 20 * (55 - 49)


def test_a_plan_that_was_approved_is_not_replayed() -> None:
    assert played([bar_row(1, 98, 99)], ruling="approve") == ()
    assert played([bar_row(1, 98, 99)], ruling="shrink") == ()


def test_a_refused_exit_is_not_replayed() -> None:
    leaving = plan(1, action="exit", stop=None, target=None)
    assert played([bar_row(1, 98, 99)], of=leaving) == ()


def test_the_bar_of_another_symbol_fills_nothing() -> None:
    [found] = played([bar_row(1, 98, 99, symbol="MSFT")])
    assert found.outcome == "not filled"


def test_verdicts_without_plans_are_left_out() -> None:
    asked = verdicts((plan(1), "veto", "cash"))
    assert veto_outcomes(asked, TRADE_PLANS.empty(), bars(), actions(), last=day(9), costs=FREE) == ()


@settings(deadline=None, max_examples=25)
@given(
    closes=st.lists(st.floats(60, 150).map(lambda price: round(price, 2)), min_size=2, max_size=30),
    seen=st.integers(1, 29),
)
def test_bars_after_the_last_session_never_change_the_outcome(closes: list[float], seen: int) -> None:
    known = min(seen, len(closes) - 1)
    rows = [bar_row(n, close, close) for n, close in enumerate(closes, start=1)]
    assert played(rows, last=day(known), costs=PAPER) == played(rows[:known], last=day(known), costs=PAPER)


@settings(deadline=None, max_examples=25)
@given(closes=st.lists(st.floats(60, 150).map(lambda price: round(price, 2)), min_size=1, max_size=30))
def test_a_replay_loses_no_more_than_the_worst_price_and_wins_no_more_than_the_best(closes: list[float]) -> None:
    rows = [bar_row(n, close, close) for n, close in enumerate(closes, start=1)]
    [found] = played(rows)
    prices = [Decimal(str(close)) for close in closes]
    if found.outcome == "not filled":
        assert found.pnl_usd == 0
        assert prices[0] > 100
    else:
        assert 10 * (min(prices) - prices[0]) <= found.pnl_usd <= 10 * (max(prices) - prices[0])


def minutes(*prices: float) -> list[dict[str, Any]]:
    """Intraday bars of the first session from open to close, each at one price but for a dip and a rise of a dollar."""
    session = XNYS.session(day(1))
    step = (session.close - session.open) / len(prices)
    return [
        {
            "symbol": "AAPL",
            "session": session.day,
            "frequency": "1h",
            "start": session.open + n * step,
            "open": price,
            "high": price + 1,
            "low": price - 1,
            "close": price,
            "volume": 1e6,
            "source": "test",
            "knowable_at": session.open + (n + 1) * step,
        }
        for n, price in enumerate(prices)
    ]


def at_noon(**more: Any) -> TradePlan:
    """A plan made half a session after the open."""
    session = XNYS.session(day(1))
    half = session.open + (session.close - session.open) / 2
    return plan(1, slot="12:45", as_of=half, strategy="vwap_momentum", flat_by_close=True, **more)


def finer(given_plan: TradePlan, rows: list[dict[str, Any]] | None, *, last: int = 1) -> VetoOutcome:
    slot = Slot(XNYS.session(day(1)), given_plan.slot, given_plan.as_of)
    known = None if rows is None else pl.DataFrame(rows, schema=dict(INTRADAY_BARS.polars_schema()))
    asked = verdicts((given_plan, "veto", "cash"))
    plans = TRADE_PLANS.frame(plan_rows([given_plan], slot))
    daily = bars(bar_row(1, 98, 99, high=120, low=90), bar_row(2, 105, 112))
    [found] = veto_outcomes(asked, plans, daily, actions(), last=day(last), costs=FREE, intraday=known)
    return found


def test_a_plan_of_a_later_slot_is_played_on_intraday_bars_from_then_on() -> None:
    """The morning's 94 would have hit the stop, but the plan came at noon; it enters at 98 and leaves at the close of 104."""
    found = finer(at_noon(), minutes(97, 94, 98, 104))
    assert (found.outcome, found.pnl_usd) == ("closed", Decimal(60))
    assert (found.action, found.slot) == ("enter", "12:45")


def test_a_stop_inside_the_afternoon_is_seen_on_intraday_bars() -> None:
    found = finer(at_noon(), minutes(97, 97, 97, 98, 94, 109))
    assert (found.outcome, found.pnl_usd) == ("closed", Decimal(-40))


def test_without_intraday_bars_a_later_slot_is_not_filled() -> None:
    assert finer(at_noon(), None).outcome == finer(at_noon(), []).outcome == "not filled"


def test_a_refused_addition_is_played_alone() -> None:
    found = finer(plan(1, action="add"), None, last=2)
    assert (found.outcome, found.action) == ("closed", "add")
    assert found.pnl_usd == 10 * (95 - 98), "the daily bar's low touched the stop"
