"""The strategy monitor: a whole window before a switch, more for the way back, withheld entries judged by what became of them."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.books import day, rows, trade_row, trades
from tests.evaluation.pasts import idea, market, walk
from trading_assets.core.calendar import XNYS
from trading_assets.core.learning import MonitorRules
from trading_assets.core.parameters import Parameters
from trading_assets.core.slots import slots_of
from trading_assets.evaluation.learning.model import STRATEGY_STANDINGS
from trading_assets.evaluation.monitor import (
    Standing,
    Turn,
    standing_rows,
    standings,
    switch,
    turns_of,
    withheld_plans,
    withheld_turns,
)
from trading_assets.evaluation.suggestions import Moved
from trading_assets.execution.tuning import MONITOR, withheld
from trading_assets.plans.model import TRADE_PLANS
from trading_assets.plans.trader import plan_rows
from trading_assets.signatures.model import VERDICTS
from trading_assets.signatures.risk_gate import verdict_rows

RULES = MonitorRules()
ON = Parameters()
NAME = "momentum_breakout@range"
OFF = Parameters(switched_off=(NAME,))
NOW = datetime(2026, 11, 16, 22, tzinfo=UTC)


def turn(number: int, pnl: int, *, kept: bool = False, **changed: Any) -> Turn:
    """A trade of one session."""
    made = Turn(
        f"t{number:03d}", "momentum_breakout", "range", "AAPL", day(number), day(number), Decimal(pnl), withheld=kept
    )
    return replace(made, **changed)


def turns(
    wins: int, losses: int, *, first: int = 1, win: int = 100, loss: int = -100, kept: bool = False
) -> list[Turn]:
    """So many losses and then so many wins, one a session."""
    earned = [loss] * losses + [win] * wins
    return [turn(first + n, pnl, kept=kept) for n, pnl in enumerate(earned)]


def flip(after: list[str], start: date, before: list[str] | None = None) -> Moved:
    return Moved("switched_off", before or [], after, start, "monitor", "r", NOW)


def word(given: list[Turn], now: Parameters = ON, *moved: Moved, base: Parameters = ON) -> Standing:
    (found,) = standings(given, now, base, moved, RULES)
    return found


def test_a_strategy_goes_off_when_its_whole_window_wins_too_seldom_or_loses_money() -> None:
    assert word(turns(10, 20, win=300)).word == "switch off", "33 % won"
    assert word(turns(11, 19, win=300)).word == "on", "37 % won, and it earned"
    assert word(turns(20, 10, loss=-300)).word == "switch off", "67 % won, and it lost money"
    assert word(turns(15, 15)).word == "on", "a P&L of nothing is the least that is asked"


def test_fewer_trades_than_the_window_switch_nothing() -> None:
    found = word(turns(0, 29))
    assert (found.word, found.reason) == ("on", "29 of 30 trades")


def test_only_the_newest_trades_count() -> None:
    assert word([*turns(0, 20), *turns(16, 14, first=21)]).word == "on"
    assert word([*turns(20, 0), *turns(5, 25, first=21)]).word == "switch off"


def test_after_a_switch_ten_trades_must_pass() -> None:
    back = flip([], day(31), before=[NAME])
    past = turns(0, 30)
    for count, expected in ((9, "on"), (10, "switch off")):
        again = [*past, *turns(0, count, first=31)]
        assert word(again, ON, flip([NAME], day(10)), back).word == expected


def test_the_way_back_asks_for_more_than_the_way_out() -> None:
    """12 of 30 is 40 %; 11 of 30, with which it would have stayed on, does not bring it back."""
    out = flip([NAME], day(19))
    for wins, expected in ((12, "switch on"), (11, "off")):
        window = [*turns(0, 18, loss=-10), *turns(wins, 12 - wins, first=19, win=300, kept=True)]
        assert word(window, OFF, out).word == expected
    assert word([*turns(0, 18), *turns(12, 0, first=19, win=100, kept=True)], OFF, out).word == "off", (
        "it would have lost"
    )


def test_what_is_off_stays_off_until_enough_was_withheld() -> None:
    window = [*turns(30, 0), *turns(9, 0, first=31, kept=True)]
    assert word(window, OFF, flip([NAME], day(31))).word == "off"
    assert word([*window, turn(40, 100, kept=True)], OFF, flip([NAME], day(31))).word == "switch on"


def test_trades_that_were_open_at_the_switch_count_as_made_before_it() -> None:
    late = [turn(31 + n, 100, opened=day(20)) for n in range(10)]
    assert word([*turns(30, 0), *late], OFF, flip([NAME], day(31))).since_switch == 0


def test_what_the_operator_switched_off_stays_off() -> None:
    found = word(turns(30, 0), OFF, base=OFF)
    assert found.word == "off by the operator"
    everywhere = Parameters(switched_off=("momentum_breakout",))
    assert word(turns(30, 0), everywhere, base=everywhere).word == "off by the operator"


def test_each_regime_is_judged_by_itself() -> None:
    bad, good = turns(0, 30), [replace(each, regime="mixed") for each in turns(30, 0)]
    found = standings([*bad, *good], ON, ON, (), RULES)
    assert [(each.name, each.word) for each in found] == [
        ("momentum_breakout@mixed", "on"),
        ("momentum_breakout@range", "switch off"),
    ]


def test_the_switches_of_a_session_are_one_move_that_keeps_what_others_switched() -> None:
    bad, good = turns(0, 30), [replace(each, regime="mixed", withheld=True) for each in turns(30, 0)]
    now = Parameters(switched_off=("momentum_breakout@mixed", "vwap_momentum"))
    out = flip(["momentum_breakout@mixed"], day(1))
    made = switch(standings([*bad, *good], now, ON, [out], RULES), now, last=day(40))
    assert made is not None
    assert made.after == (NAME, "vwap_momentum")
    assert {each["word"] for each in made.evidence["standings"]} == {"switch off", "switch on"}
    assert switch(standings(turns(30, 0), ON, ON, (), RULES), ON, last=day(40)) is None


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), chance=st.floats(0, 1))
def test_switches_are_never_closer_than_ten_trades(seed: int, chance: float) -> None:
    """Any strategy, judged after each session for 150 trades: hysteresis holds whatever luck brings."""
    rng = Random(seed)
    made, moved, now, flips = list[Turn](), list[Moved](), ON, list[int]()
    for number in range(1, 151):
        made.append(turn(number, 150 if rng.random() < chance else -100, kept=now.stops("momentum_breakout", "range")))
        suggestion = switch(standings(made, now, ON, moved, RULES), now, last=day(number))
        if suggestion is not None:
            moved.append(flip(list(suggestion.after), day(number + 1), list(now.switched_off)))
            now = now.with_values({"switched_off": suggestion.after})
            flips.append(number)
    assert not flips or flips[0] >= RULES.window_trades
    assert all(later - earlier >= RULES.trades_between_switches for earlier, later in pairwise(flips))


# Withheld entries


def kept(*plans: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Plans and verdicts as the lake holds them."""
    slots = {each.session: slots_of(XNYS.session(each.session), ("09:30",))[0] for each in plans}
    made = [row for each in plans for row in plan_rows([each], slots[each.session])]
    judged = [row for each in plans for row in verdict_rows(withheld([each]), slots[each.session])]
    return TRADE_PLANS.frame(made), VERDICTS.frame(judged)


def test_a_withheld_entry_is_found_again_as_it_was() -> None:
    plans, verdicts = kept(idea(1), idea(2, "MSFT"))
    assert withheld_plans(plans, verdicts) == (idea(1), idea(2, "MSFT"))


def test_what_another_control_refused_as_well_is_not_what_the_strategy_would_have_done() -> None:
    plans, verdicts = kept(idea(1))
    for controls in ("C8", f"{MONITOR},C8"):
        assert withheld_plans(plans, verdicts.with_columns(controls=pl.lit(controls))) == ()


def test_withheld_entries_count_with_what_became_of_them() -> None:
    won = walk("AAPL", 1, (100.0, 101.0, 99.5, 101.0), (101.0, 108.0, 101.0, 107.5))
    missed = walk("MSFT", 1, (103.0, 104.0, 102.0, 103.0))
    still = walk("NVDA", 1, (100.0, 101.0, 99.5, 101.0))
    plans = (idea(1), idea(1, "MSFT"), idea(1, "NVDA"))
    (found,) = withheld_turns(plans, market([*won, *missed, *still], last=3))
    assert (found.symbol, found.pnl_usd, found.closed, found.withheld) == ("AAPL", Decimal(64), day(2), True)


def test_a_second_entry_while_the_first_is_held_is_not_counted() -> None:
    quiet = [(100.0, 101.0, 99.0, 100.5)] * 4
    rows_ = walk("AAPL", 1, *quiet, (101.0, 108.0, 101.0, 107.5))
    found = withheld_turns((idea(1), idea(2), idea(4)), market(rows_, last=10))
    assert [each.opened for each in found] == [day(1)]
    assert withheld_turns((idea(1), idea(2)), market(rows_, last=4)) == (), "the first is open, so nothing is known"


def test_made_and_withheld_trades_stand_in_the_order_in_which_they_closed() -> None:
    made = trades(trade_row(3, -40, side="long"), trade_row(1, 9, side="long"))
    assert [each.closed for each in turns_of(made, [turn(2, 5, kept=True)])] == [day(1), day(2), day(3)]


def test_standings_are_rows_of_their_table() -> None:
    found = standings(turns(10, 20), ON, ON, (), RULES)
    frame = rows(STRATEGY_STANDINGS, standing_rows(found, day(40)))
    assert frame.select("strategy", "word", "trades").rows() == [("momentum_breakout", "switch off", 30)]
    assert STRATEGY_STANDINGS.conform(frame).height == 1
