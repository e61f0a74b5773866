"""What the front page says: why, what to change, what comes next, with every number's n and noise by its name."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.books import (
    account,
    account_row,
    day,
    fill_row,
    fills,
    plan,
    positions,
    rows,
    trade_row,
    trades,
    verdicts,
)
from tests.evaluation.measured import plan_rows
from tests.evaluation.reporting.records import Given, section, tiny_given
from tests.theses.graphs import thesis
from trading_assets.core.calendar import XNYS
from trading_assets.evaluation.experiments.model import EXPERIMENT_RESULTS
from trading_assets.evaluation.learning.model import STRATEGY_STANDINGS
from trading_assets.evaluation.model import ATTRIBUTION, DECISION_EVIDENCE, METRIC_INTERVALS, SLIPPAGE
from trading_assets.evaluation.reporting.record import Period
from trading_assets.evaluation.reporting.tomorrow import tomorrow
from trading_assets.evaluation.reporting.weeks import ends_week
from trading_assets.evaluation.reporting.why import why
from trading_assets.evaluation.suggestions import ProposalLine
from trading_assets.execution.model import Book, Order, Position
from trading_assets.execution.ports import SessionClose
from trading_assets.market.model import CORPORATE_ACTIONS
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.theses.model import Mind
from trading_assets.weekly.model import TOTAL, WEEKLY_PORTFOLIO

LAST = day(5)


def share_row(dimension: str, name: str, pnl: int, trade: str = "t1", number: int = 5) -> dict[str, Any]:
    keys = {"trade_id": trade, "symbol": "AAPL", "dimension": dimension, "name": name}
    return {"session": day(number), **keys, "share": 1.0, "pnl": Decimal(pnl)}


def decided_row(slot: str = "09:30", **more: Any) -> dict[str, Any]:
    row = {
        "session": LAST,
        "slot": slot,
        "state": "ACTIVE",
        "evidence": "rules",
        "book_evidence": "rules",
        "models": "",
    }
    return {**row, "plans": 0, "vetoes": 0, "calls": 0, "model_cost": 0.0, **more}


def slipped_row(fill: str, shortfall: str | None, **more: Any) -> dict[str, Any]:
    cost = None if shortfall is None else Decimal(shortfall)
    names = {"order_id": f"o{fill}", "fill_id": fill, "intent_id": "i", "symbol": "AAPL", "strategy": "pullback"}
    kinds = {"time_of_day": "09:30", "role": "entry", "type": "limit", "side": "buy", "arrival_source": ""}
    prices = {"reference": Decimal(100) if cost is not None else None, "price": Decimal(101), "shortfall": cost}
    return {"session": LAST, **names, **kinds, **prices, "quantity": 10, "shortfall_bp": 5.0, "fee": Decimal(1), **more}


def interval_row(low: float | None, high: float | None, **more: Any) -> dict[str, Any]:
    row = {"session": LAST, "measure": "slippage_bp_mean", "evidence": "rules", "estimate": 4.0, "level": 0.95}
    return {**row, "low": low, "high": high, "observations": 12, **more}


def why_words(**frames: pl.DataFrame) -> str:
    return section(tiny_given().with_frames(frames).report(), "Why")


def test_symbols_and_dividends_sum_to_the_session() -> None:
    given = Given(
        {
            "account": account(account_row(1, 100_000), account_row(2, 98_500, 1_700, fees=2, dividends=1)),
            "positions": positions((2, 17, 100)),
            "fills": fills(fill_row(2, 1, "buy", 100, quantity=15, fee=Decimal(2))),
        },
        Period.session(day(2)),
    )
    found = why(given.record())
    assert [(each.name, each.pnl_usd) for each in found.symbols] == [("AAPL", Decimal(198))]
    assert (found.dividends_usd, found.beyond_usd) == (Decimal(1), Decimal(1))


@settings(deadline=None, max_examples=30)
@given(
    before=st.integers(-50, 50),
    traded=st.lists(st.tuples(st.integers(1, 30), st.sampled_from(["buy", "sell"]), st.integers(50, 150)), max_size=5),
    close=st.integers(50, 150),
)
def test_what_symbols_moved_is_what_the_book_moved(before: int, traded: list[tuple[int, str, int]], close: int) -> None:
    """Longs and shorts alike: change of value plus the cash of fills leaves nothing over."""
    made = [
        fill_row(2, n, side, price, quantity=size, fee=Decimal(1), fill_id=f"f{n}")
        for n, (size, side, price) in enumerate(traded)
    ]
    held = before + sum(size if side == "buy" else -size for size, side, _ in traded)
    cash = sum(price * size * (-1 if side == "buy" else 1) - 1 for size, side, price in traded)
    frames = {
        "account": account(account_row(1, 90_000, before * 100), account_row(2, 90_000 + cash, held * close)),
        "positions": positions((1, before, 100), (2, held, close)),
        "fills": fills(*made),
    }
    assert why(Given(frames, Period.session(day(2))).record()).beyond_usd == 0


def test_three_largest_gains_and_losses_of_each_dimension_stand_with_their_trades() -> None:
    shares = [share_row("strategy", f"s{n}", n * 10 * (-1) ** n, f"t{n}") for n in range(1, 9)]
    shares += [share_row("thesis", "GOOG long 1c2a8b1a4a852f9c", 7), share_row("time_of_day", "event", -3)]
    shares += [share_row("strategy", "older", 999, "t0", number=4), share_row("persona", "unexplained", 5)]
    words = why_words(attribution_shares=rows(ATTRIBUTION, shares))
    assert (
        "| strategy | s8 +80.00 (1), s6 +60.00 (1), s4 +40.00 (1) | s7 -70.00 (1), s5 -50.00 (1), s3 -30.00 (1) |"
        in words
    )
    assert "| thesis | GOOG long 1c2a +7.00 (1) | nobody |" in words
    assert "| time of day | nobody | between slots -3.00 (1) |" in words
    assert "n = 8 closed trades" in words
    assert "unexplained" not in words
    assert "older" not in words


def test_slippage_is_over_measured_fills_and_an_interval_with_zero_is_noise() -> None:
    slipped = [slipped_row("a", "2"), slipped_row("b", "1"), slipped_row("c", None), slipped_row("", "4", fill_id="")]
    measured = {"slippage": rows(SLIPPAGE, slipped), "decision_evidence": rows(DECISION_EVIDENCE, [decided_row()])}
    noise = why_words(**measured, metric_intervals=rows(METRIC_INTERVALS, [interval_row(-1.0, 9.0)]))
    assert "**slippage**: +15.0 bp of the decided value, +3.00 USD over 2 fills. 1 fill had no decision price." in noise
    assert "What did not fill moved by +4.00 USD until the close." in noise
    assert "+4.0 bp on average (95 %: -1.0 to +9.0, not distinguishable from nothing), n = 12." in noise
    clear = why_words(**measured, metric_intervals=rows(METRIC_INTERVALS, [interval_row(1.0, 9.0)]))
    assert "(95 %: +1.0 to +9.0), n = 12." in clear


def test_models_are_counted_per_decision_against_what_one_may_cost() -> None:
    dear = [
        decided_row(calls=3, model_cost=0.2),
        decided_row("10:00"),
        decided_row("close", state="AFTER_CLOSE", calls=1),
    ]
    words = why_words(decision_evidence=rows(DECISION_EVIDENCE, dear))
    assert "0.2000 USD for 4 calls, 0.1000 USD a decision (n = 2), above the 0.05 USD that one may cost." in words
    cheap = rows(DECISION_EVIDENCE, [decided_row(calls=3, model_cost=0.05)])
    assert "(n = 1), within the 0.05 USD" in why_words(decision_evidence=cheap)


def test_an_evening_whose_metrics_failed_is_told_with_the_command_that_makes_them() -> None:
    older = rows(DECISION_EVIDENCE, [decided_row(session=day(4))])
    words = why_words(decision_evidence=older)
    assert f"of {LAST} were not measured" in words
    assert f"`desk run postclose --session {LAST}`" in words
    assert "no strategy, persona or thesis earned" not in words


def proposal(state: str = "open", **more: Any) -> ProposalLine:
    line = ProposalLine(
        "p1", LAST, "stop_atr", "2", "1.75", "optimizer", "It loses less.", 40, state, LAST + timedelta(days=14),  # type: ignore[arg-type]
        gain_usd=(3.0, 1.0, 5.0), tried=12,
    )  # fmt: skip
    return replace(line, **more)


def change_words(*lines: ProposalLine, given: Given | None = None) -> str:
    known = (given or tiny_given()).but(told={"proposals": lambda: lines})
    return section(known.report(), "What to change")


def test_an_open_proposal_stands_with_its_evidence_and_the_exact_command() -> None:
    words = change_words(proposal())
    assert (
        "- **stop atr**: 2 to 1.75: It loses less. A trade gains +3.00 USD (+1.00 to +5.00). n = 40, the best of 12"
        in words
    )
    assert words.splitlines()[0].endswith("`desk approve p1`")
    assert "`desk approve" not in change_words(proposal("refused", who="operator", answer_reason="Not now."))
    assert "refused by operator. Not now." in change_words(
        proposal("refused", who="operator", answer_reason="Not now.")
    )
    assert "No proposal is open" in change_words()
    assert "proposes nothing" in section(tiny_given().report(), "What to change")


def test_an_answer_of_long_ago_is_history() -> None:
    old = proposal("lapsed", session=day(1), lapses=day(2))
    assert "lapsed" not in change_words(old)


def test_weak_groups_are_named_as_noise_unless_their_interval_excludes_nothing() -> None:
    swinging = trades(*(trade_row(n, -30 if n % 3 else 40) for n in range(1, 31)))
    quiet = change_words(given=replace(tiny_given(30), frames={"trades": swinging}))
    assert "**strategy pullback**" not in quiet
    assert "Below their marks, yet not distinguishable from nothing: strategy pullback (n = 30)" in quiet
    losing = trades(*(trade_row(n, -10 - n % 3) for n in range(1, 31)))
    loud = change_words(given=replace(tiny_given(30), frames={"trades": losing}))
    assert "- **strategy pullback**: review its rules, or pause it." in loud
    assert "(n = 30)" in loud
    assert "Below their marks" not in loud


def test_switched_strategies_and_running_experiments_are_told() -> None:
    standing = {"session": LAST, "strategy": "pullback", "regime": "range", "trades": 30, "withheld": 0}
    more = {"since_switch": 30, "win_rate": 0.2, "net_pnl": Decimal(-10)}
    lines = [
        {**standing, **more, "word": "switch off", "reason": "It won 20 % of 30."},
        {**standing, **more, "strategy": "breakout", "word": "on", "reason": "Fine."},
    ]
    tried = {
        "session": LAST,
        "experiment": "wider",
        "arm": "wide",
        "measure": "fees_bp",
        "assigned": "wide",
        "observations": 7,
        "observations_control": 6,
        "sessions_next_look": 20,
        "look": 0,
        "looks": 5,
        "level": 0.95,
        "verdict": "",
        "sentence": "not yet: 7 of 20 sessions",
    }
    known = {
        STRATEGY_STANDINGS.name: rows(STRATEGY_STANDINGS, lines),
        EXPERIMENT_RESULTS.name: rows(EXPERIMENT_RESULTS, [tried]),
    }
    words = change_words(given=tiny_given().with_frames(known))
    assert "- **pullback in range: switch off**: It won 20 % of 30." in words
    assert "breakout" not in words
    assert "- **experiment wider, wide**: not yet: 7 of 20 sessions `desk experiment show wider`" in words


def regimes(last: date, **symbols: str) -> pl.DataFrame:
    made = [
        {
            "session": last,
            "symbol": symbol,
            "regime": regime,
            "strategy_view": "range",
            "since": last,
            **dict.fromkeys(("probability", "volatility_percentile", "trend_strength", "adx_14"), 0.5),
        }
        for symbol, regime in symbols.items()
    ]
    return rows(REGIME_LABELS, made)


def order(symbol: str, role: str, **more: Any) -> Order:
    kind = "stop" if role == "stop" else "limit"
    moment = XNYS.session(LAST).open
    return Order(
        f"{symbol}-{role}", "i", symbol, "sell", kind, role, 10, moment, LAST, "gtc", **more  # type: ignore[arg-type]
    )  # fmt: skip


def closed_with(held: dict[str, int], *orders: Order) -> SessionClose:
    book = Book(
        Decimal(1000),
        {s: Position(s, n, Decimal(n * 100)) for s, n in held.items()},
        {each.id: each for each in orders},
    )
    zero = Decimal(0)
    return SessionClose(LAST, book, dict.fromkeys(held, Decimal(100)), zero, zero, zero)


def test_the_next_session_has_each_symbol_with_regime_thesis_position_and_orders() -> None:
    stop, target = order("AAPL", "stop", stop_price=Decimal("95.50")), order("AAPL", "target", limit_price=Decimal(110))
    low = order("MSFT", "target", limit_price=Decimal(90))
    close = closed_with({"AAPL": 10, "MSFT": -5}, stop, target, replace(stop, id="old", status="cancelled"), low)
    mind = Mind(theses=(thesis("GOOG", confidence=0.7),))
    known = {REGIME_LABELS.name: regimes(LAST, MARKET="ranging", AAPL="trending_up", ZZZ="ranging")}
    given = tiny_given().with_frames(known).but(told={"close": lambda: close, "mind": lambda: mind})
    found = tomorrow(given.record())
    assert [line.symbol for line in found.symbols] == ["AAPL", "MSFT", "GOOG", "ZZZ"]
    assert (found.session, found.orders_working, found.unprotected) == (day(6), 3, ("MSFT",))
    words = section(given.report(), "What comes next")
    assert f"| AAPL | trending up, {LAST} | range | none |  |  | 10 | 95.50 | 110.00 | 2 |" in words
    assert "The market is ranging" in words
    assert "- **unprotected**: held without a working stop: MSFT" in words
    assert "**thesis ends**: GOOG" in words


def test_without_regimes_the_page_says_that_nothing_will_be_opened() -> None:
    words = section(tiny_given().report(), "What comes next")
    assert f"No regime of {LAST} is on record: the desk will not open on stale facts." in words
    assert "positions and orders are not known" in words


def test_the_calendar_is_told_before_a_holiday() -> None:
    action = {
        "session": date(2024, 7, 3),
        "symbol": "AAPL",
        "kind": "split",
        "ratio": 4.0,
        "amount": 0.0,
        "source": "t",
    }
    given = Given({CORPORATE_ACTIONS.name: rows(CORPORATE_ACTIONS, [action])}, Period.session(date(2024, 7, 2)))
    words = section(given.report(), "What comes next")
    assert "Wednesday 2024-07-03, 09:30 to 13:00 New York, an early close, 7 slots." in words
    assert "2024-07-04: the exchange is closed" in words
    assert "2024-07-03: AAPL splits 4 for 1" in words


def test_the_weekly_desks_newest_portfolio_is_shown_where_there_is_one() -> None:
    def row(symbol: str, weight: float, before: float, session: date = LAST) -> dict[str, Any]:
        numbers = {"capital_fraction": 0.2, "valid_until": day(9), "horizon_sessions": 5, "paths": 9, "seed": 1}
        weights = {"weight": weight, "weight_before": before, "weight_wanted": weight}
        return {"session": session, "symbol": symbol, "action": "enter", **weights, **numbers, "reason": "-"}

    made = [
        row("AAPL", 0.6, 0.0),
        row("MSFT", 0.0, 0.3),
        row("IBM", 0.0, 0.0),
        row(TOTAL, 0.6, 0.3),
        row("GOOG", 1, 1, day(1)),
    ]
    words = section(tiny_given().but(weekly_portfolio=rows(WEEKLY_PORTFOLIO, made)).report(), "What comes next")
    told = "AAPL 60.0% (was 0.0%), MSFT 0.0% (was 30.0%); of 20% of equity"
    assert f"- **weekly desk**: portfolio of {LAST}, until {day(9)}: {told}" in words


def test_refused_openings_are_told_by_control_and_never_with_invented_profit() -> None:
    judged = verdicts((plan(1), "veto", "sector,cash"), (plan(2), "veto", "sector"), (plan(3), "shrink", "cash"))
    given = tiny_given().but(verdicts=judged)
    assert "| sector | 2 | 0 | 0 | 0 | 0 | n/a |" in section(given.report(), "Vetoes that would have won")
    found = given.but(trade_plans=plan_rows(plan(1), plan(2))).report().data["parts"]["controls"]
    assert [(c["control"], c["vetoes"], c["replayed"], c["not_filled"]) for c in found] == [
        ("sector", 2, 2, 2),
        ("cash", 1, 1, 1),
    ]


@pytest.mark.parametrize(
    ("session", "ends"),
    [(date(2024, 3, 28), True), (date(2024, 3, 27), False), (date(2024, 7, 5), True), (date(2024, 12, 31), False)],
)
def test_a_week_ends_by_the_calendar(session: date, ends: bool) -> None:
    """2024-03-29 was Good Friday."""
    assert ends_week(session) is ends


@settings(deadline=None, max_examples=40)
@given(place=st.integers(5, 5000))
def test_every_session_lies_in_exactly_one_week_that_one_session_ends(place: int) -> None:
    session = XNYS.sessions(XNYS.first, date(2026, 6, 30))[place].day
    monday = session - timedelta(days=session.weekday())
    days = [s.day for s in XNYS.sessions(monday, monday + timedelta(days=6))]
    assert [each for each in days if ends_week(each)] == [days[-1]]
    assert Period.week_of(session).sessions == tuple(map(XNYS.session, [d for d in days if d <= session]))
