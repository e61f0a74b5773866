"""Trades that should not have been made: judged by what was known, split by what came of them."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.books import FREE, PAPER, day, plan, rows, trade_row, trades
from tests.execution.world import rules
from trading_assets.core.calendar import XNYS
from trading_assets.core.ids import short_id
from trading_assets.core.slots import Slot
from trading_assets.evaluation.regrets import (
    RECORD_MIN,
    WINDOW,
    Regrets,
    cost_per_share,
    profitable_from,
    regrets,
    sentences_of,
    windows_of,
)
from trading_assets.execution.model import Costs
from trading_assets.plans.model import TRADE_PLANS, TradePlan
from trading_assets.plans.trader import plan_rows
from trading_assets.theses.memory.model import LESSONS
from trading_assets.theses.model import STANCES

SOUND: dict[str, Any] = {"regime": "mild_trend", "confidence": 0.7}


def entry(number: int, **more: Any) -> TradePlan:
    """A sound pullback: 10 shares at 100 at most, stop 95, target 110, in its own regime."""
    return plan(number, **{**SOUND, **more})


def closed(of: TradePlan, number: int, pnl: object) -> dict[str, Any]:
    """The trade that a plan became, closed in a session."""
    ids = {"trade_id": short_id("desk", of.id), "opened": of.session, "symbol": of.symbol, "side": of.side}
    return trade_row(number, pnl, strategy=of.strategy, regime=of.regime, **ids)


def plans_of(*given_plans: TradePlan) -> pl.DataFrame:
    made = [
        row for p in given_plans for row in plan_rows([p], Slot(XNYS.session(p.session), p.slot, p.as_of))
    ]  # fmt: skip
    return TRADE_PLANS.frame(made)


def grades(*given_grades: tuple[TradePlan, str]) -> pl.DataFrame:
    base = {column.name: None for column in LESSONS.columns}
    told = [{**base, "session": p.session, "lesson_id": short_id("desk", p.id), "grade": g} for p, g in given_grades]
    return rows(LESSONS, told)


def stances(number: int, **more: Any) -> pl.DataFrame:
    said = {
        "session": day(number),
        "stance": "normal",
        "size_fraction": 1.0,
        "strategies": '["pullback"]',
        "reasons": "[]",
    }
    origin = {"route": "rules", "model": "", "leakage": "clean", "answer_key": ""}
    return rows(STANCES, [{**said, **origin, **more}])


def judged(
    pairs: Sequence[tuple[TradePlan, dict[str, Any]]],
    *,
    lessons: pl.DataFrame | None = None,
    said: pl.DataFrame | None = None,
    costs: Costs = FREE,
) -> Regrets:
    return regrets(
        trades(*(trade for _, trade in pairs)),
        plans_of(*(p for p, _ in pairs)),
        LESSONS.empty() if lessons is None else lessons,
        STANCES.empty() if said is None else said,
        lane="desk",
        preferences=rules().preferences,
        costs=costs,
    )


def kinds(found: Regrets) -> list[list[str]]:
    return [[fault.kind for fault in one.faults] for one in found.judged]


def one(of: TradePlan, pnl: object = -50, **more: Any) -> Regrets:
    return judged([(of, closed(of, 40, pnl))], **more)


def record(pnl: Sequence[object], *, confidence: float = 0.6) -> list[tuple[TradePlan, dict[str, Any]]]:
    """Trades one after another, each opened in the session after the one before was closed."""
    opened = [entry(n, confidence=confidence) for n in range(1, len(pnl) + 1)]
    return [(of, closed(of, n, earned)) for n, (of, earned) in enumerate(zip(opened, pnl, strict=True), start=1)]


def test_a_sound_decision_that_loses_is_no_regret() -> None:
    found = one(entry(1))
    assert (found.good_lost.trades, found.good_lost.pnl_usd) == (1, Decimal(-50))
    assert (found.bad_lost.trades, found.worst, found.by_fault) == (0, (), {})


def test_bad_decisions_are_split_by_what_came_of_them() -> None:
    poor = [entry(n) for n in (1, 2, 3)]
    pairs = [(p, closed(p, n + 20, pnl)) for n, (p, pnl) in enumerate(zip(poor, (90, -40, 0), strict=True))]
    found = judged(pairs, lessons=grades(*((p, "D") for p in poor)))
    assert (found.bad_won.trades, found.bad_won.pnl_usd) == (1, Decimal(90))
    assert (found.bad_lost.trades, found.bad_lost.pnl_usd) == (2, Decimal(-40))
    assert [w.pnl_usd for w in found.worst] == [-40, 0]
    assert found.by_fault["grade"].trades == 3


@pytest.mark.parametrize(("grade", "bad"), [("A", False), ("B", False), ("C", False), ("D", True), ("F", True)])
def test_the_report_card_counts_from_d_down(grade: str, bad: bool) -> None:
    of = entry(1)
    found = one(of, lessons=grades((of, grade)))
    assert kinds(found) == ([["grade"]] if bad else [[]])


def test_reward_is_weighed_after_costs() -> None:
    """7.50 for 5 is exactly 1.5 and enough for nothing; two fees of a dollar on ten shares and slippage make it less."""
    of = entry(1, target=Decimal("107.5000"))
    assert kinds(one(of)) == [[]]
    found = one(of, costs=PAPER)
    assert kinds(found) == [["reward"]]
    assert "1.39 R" in found.judged[0].why


def test_a_stop_within_the_costs_is_named_alone() -> None:
    found = one(entry(1, stop=Decimal("99.9000"), target=Decimal("110.0000")), costs=PAPER)
    assert kinds(found) == [["costs"]]
    assert found.judged[0].why == "the stop was 0.10 USD away and a round trip costs 0.22 USD a share"


def test_the_cost_of_a_share_is_two_fees_and_the_slippage_of_the_way_out() -> None:
    assert cost_per_share(Decimal(100), 10, PAPER) == Decimal("0.2") + Decimal("0.02")


def test_a_short_plan_is_weighed_on_its_own_side() -> None:
    terms = {"side": "short", "stop": Decimal("105.0000"), "target": Decimal("90.0000")}
    of = entry(1, strategy="correlation_convergence", regime="range", **terms)
    assert kinds(one(of)) == [[]]
    assert kinds(one(of.model_copy(update={"target": Decimal("97.0000")}))) == [["reward"]]


def test_against_the_chief_or_the_regime_is_a_fault() -> None:
    of = entry(1)
    assert kinds(one(of, said=stances(1))) == [[]]
    assert kinds(one(of, said=stances(1, strategies='["mean_reversion"]'))) == [["stance"]]
    assert kinds(one(of, said=stances(1, size_fraction=0.0, stance="stand_aside"))) == [["stance"]]
    assert kinds(one(of, said=stances(2, size_fraction=0.0))) == [[]], "another day's word"
    assert kinds(one(entry(1, regime="trending_bear"))) == [["regime"]]


def test_confidence_is_held_against_the_record_before_and_never_after() -> None:
    past = [*record([-60] * 12, confidence=0.55)]
    good = [(p, closed(p, n, 40)) for n in range(13, 25) for p in [entry(n, confidence=0.8)]]
    weak = entry(30, confidence=0.6)
    found = judged([*past, *good, (weak, closed(weak, 31, -10))])
    assert kinds(found)[-1] == ["confidence"]
    assert found.judged[-1].why == "0.60 is below 0.80, from which 24 trades before had paid"
    early = entry(5, symbol="MSFT", confidence=0.6)
    assert "confidence" not in kinds(judged([(early, closed(early, 6, -10)), *past, *good]))[0]


@pytest.mark.parametrize(("pnl", "level"), [(-5, 0.8), (5, 0.5)])
def test_the_level_is_the_lowest_from_which_trades_paid_together(pnl: int, level: float) -> None:
    weak = [(0.5, Decimal(pnl * 20))] * 12
    strong = [(0.8, Decimal(50))] * 12
    assert profitable_from(weak + strong) == level


def test_a_short_record_or_one_that_never_paid_names_no_level() -> None:
    assert profitable_from([(0.7, Decimal(9))] * (RECORD_MIN - 1)) is None
    assert profitable_from([(0.7, Decimal(-9))] * 50) is None
    assert profitable_from([(0.5, Decimal(-9))] * 19 + [(0.9, Decimal(10))] * 3) is None, "three are too few"


def test_a_strategy_that_lost_in_two_of_its_last_windows_was_not_to_open() -> None:
    lost = record([-10] * 2 * WINDOW, confidence=0.7)
    after = entry(2 * WINDOW + 1, confidence=0.7)
    assert kinds(judged([*lost, (after, closed(after, 40, 80))]))[-1] == ["losing strategy"]
    one_window = record([10] * WINDOW + [-10] * WINDOW, confidence=0.7)
    assert kinds(judged([*one_window, (after, closed(after, 40, 80))]))[-1] == []


def test_windows_are_the_newest_whole_ones() -> None:
    newest = [Decimal(sum(range(first, first + 10))) for first in (25, 15, 5)]
    assert windows_of([Decimal(n) for n in range(35)]) == tuple(newest)
    assert windows_of([Decimal(1)] * (WINDOW - 1)) == ()


def test_a_trade_without_its_plan_is_counted_and_not_judged() -> None:
    found = regrets(
        trades(trade_row(1, -50, side="long")),
        TRADE_PLANS.empty(),
        LESSONS.empty(),
        STANCES.empty(),
        lane="desk",
        preferences=rules().preferences,
        costs=FREE,
    )
    assert (found.unjudged, found.judged) == (1, ())


def test_the_cells_are_told_in_words_with_the_dearest_mistake() -> None:
    pairs = [(p, closed(p, n + 20, pnl)) for n, pnl in ((1, 90), (2, -40), (3, -70)) for p in [entry(n)]]
    found = judged(pairs, lessons=grades((pairs[2][0], "F")))
    assert list(sentences_of(found)) == [
        "Sound decisions: 1 won +90.00 USD, 1 lost -40.00 USD.",
        "Poor decisions: 0 won +0.00 USD, 1 lost -70.00 USD.",
        f"Dearest mistake: AAPL, opened {day(3)}, -70.00 USD: its report card says F.",
    ]


def test_a_book_without_trades_regrets_nothing() -> None:
    found = judged([])
    assert list(sentences_of(found)) == []
    assert (found.unjudged, found.good_won.trades, found.bad_lost.pnl_usd) == (0, 0, Decimal(0))


@settings(deadline=None, max_examples=12)
@given(pnl=st.lists(st.integers(-100, 100), min_size=1, max_size=45), known=st.integers(1, 45))
def test_the_four_cells_hold_every_trade_once_and_later_trades_change_no_judgement(pnl: list[int], known: int) -> None:
    pairs = record(pnl, confidence=0.7)
    whole, part = judged(pairs), judged(pairs[:known])
    cells = (whole.good_won, whole.good_lost, whole.bad_won, whole.bad_lost)
    assert sum(cell.trades for cell in cells) == len(pnl)
    assert sum(cell.pnl_usd for cell in cells) == sum(pnl)
    assert whole.judged[:known] == part.judged
