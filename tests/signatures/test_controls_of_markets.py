"""Controls on the market: quotes that cannot be believed, hours, halts, a second price, crossing orders, shorts."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.signatures.at_sending import (
    LATER,
    NOW,
    SESSION,
    STRICT,
    bracket,
    changed,
    quote,
    ready,
    refused,
    sent,
    values,
)
from tests.signatures.gated import around, plan, short
from tests.signatures.test_controls_at_sending import past_open
from trading_assets.broker.model import Quote
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.preferences import Preferences
from trading_assets.signatures.controls import judge_at_sending
from trading_assets.signatures.market_rules import entry_window

SECOND = timedelta(seconds=1)


def with_quote(market: Quote | None) -> set[str]:
    return set(refused(sent(quote=market)))


# The collar


@pytest.mark.fault(76)
@pytest.mark.control("C5")
@pytest.mark.parametrize(
    "market",
    [
        None,
        quote(None),
        quote(ask=None),
        quote(None, None),
        quote("50.01", "50.00"),
        quote("50.00", "50.00"),
        quote("0", "50.00"),
        quote("-1", "50.00"),
    ],
    ids=["none", "no bid", "no ask", "nothing", "crossed", "locked", "zero", "negative"],
)
def test_no_entry_against_a_quote_that_is_missing_one_sided_crossed_or_locked(market: Quote | None) -> None:
    assert {"C5", "C6"} <= with_quote(market)


@pytest.mark.fault(75)
@pytest.mark.parametrize("price", ["NaN", "Infinity", "0", "-1"])
@pytest.mark.parametrize("side", ["bid", "ask", "last"])
def test_a_price_that_is_none_is_as_if_it_were_missing(side: str, price: str) -> None:
    told: dict[str, Any] = {side: Decimal(price)}
    assert with_quote(replace(quote(), **told))


@pytest.mark.fault(74)
@pytest.mark.control("C5", "C26")
@pytest.mark.parametrize("factor", [Decimal(10), Decimal("0.1")])
def test_a_tick_that_is_ten_times_off_opens_nothing(factor: Decimal) -> None:
    sides: dict[str, Any] = {"bid": Decimal("49.98") * factor, "ask": Decimal("50.00") * factor}
    whole = replace(quote(), last=Decimal("49.99") * factor, **sides)
    assert {"C5", "C26"} <= with_quote(whole)
    assert {"C5", "C26"} <= with_quote(replace(quote(), **sides))
    assert with_quote(replace(quote(), last=Decimal("49.99") * factor)) == {"C26"}


@pytest.mark.control("C5")
def test_the_collar_holds_for_what_was_signed_too() -> None:
    """The gateway may send a better limit; a market that left the signed one by more is another market."""
    market = quote("48.40", "48.42", last=Decimal("48.41"))
    asked = plan(stop="48.00", target="54.00")
    moment = ready(asked, quote=market, second_price=Decimal("48.41"), orders=bracket(asked, limit="48.50"))
    assert refused(judge_at_sending(asked, around(preferences=STRICT), moment)) == ["C5"]


# Hours


@pytest.mark.control("C23")
def test_no_session_is_no_time_to_enter() -> None:
    assert {"C23", "C25"} <= set(refused(sent(session=None)))


@pytest.mark.fault(85)
@pytest.mark.control("C23")
def test_entries_follow_every_early_close_of_five_years() -> None:
    early = [session for session in XNYS.sessions(date(2019, 1, 2), date(2023, 12, 29)) if session.is_early_close]
    assert len(early) == 9
    for session in early:
        begin, end = entry_window(session, Preferences())
        assert (begin, session.close - end) == (session.open, timedelta(minutes=30))


@pytest.mark.fault(86)
@pytest.mark.control("C23")
@pytest.mark.parametrize("day", [date(2024, 3, 8), date(2024, 3, 11), date(2024, 11, 1), date(2024, 11, 4)])
def test_entries_follow_new_yorks_clock_when_it_changes(day: date) -> None:
    begin, end = entry_window(XNYS.session(day), Preferences(entries_from="09:45"))
    assert [f"{each.astimezone(NEW_YORK):%H:%M}" for each in (begin, end)] == ["09:45", "15:30"]


@pytest.mark.control("C23")
@pytest.mark.parametrize(
    ("decided", "now", "passes"),
    [
        (SESSION.open, SESSION.open, True),
        (SESSION.open, SESSION.open - SECOND, False),
        (SESSION.open - SECOND, SESSION.open + SECOND, False),
        (SESSION.close - timedelta(minutes=30), SESSION.close - timedelta(minutes=29), True),
        (SESSION.close - timedelta(minutes=30), SESSION.close - timedelta(minutes=29) + SECOND, False),
        (SESSION.close - timedelta(minutes=30) + SECOND, SESSION.close - timedelta(minutes=29), False),
    ],
)
def test_an_entry_is_decided_in_its_hours_and_sent_within_a_minute_of_their_end(
    decided: datetime, now: datetime, passes: bool
) -> None:
    asked = plan().model_copy(update={"as_of": decided})
    assert ("C23" not in [b.control for b in sent(asked, **past_open(now)).breaches]) == passes


# Halts


@pytest.mark.fault(83)
@pytest.mark.control("C24")
def test_no_entry_before_during_or_shortly_after_a_halt() -> None:
    """A tape: trading, halted, reopened, five minutes later."""
    halt, reopening = LATER, LATER + timedelta(minutes=10)
    tape: list[tuple[datetime, dict[str, Any], list[str]]] = [
        (halt - SECOND, {}, []),
        (halt, {"halted": True}, ["C24"]),
        (halt + SECOND, {"halted": True}, ["C24"]),
        (reopening, {"reopened_at": reopening}, ["C24"]),
        (reopening + timedelta(minutes=4, seconds=59), {"reopened_at": reopening}, ["C24"]),
        (reopening + timedelta(minutes=5), {"reopened_at": reopening}, []),
    ]
    for now, told, wrong in tape:
        assert refused(sent(**past_open(now, **told))) == wrong
    assert refused(sent(quote=quote(halted=True))) == ["C24"]
    assert refused(sent(**past_open(reopened_at=LATER + SECOND))) == ["C24"]


@pytest.mark.fault(84)
@pytest.mark.control("C24")
def test_a_breaker_of_the_market_or_of_the_symbol_closes_the_symbol() -> None:
    found = sent(breaker="market-wide breaker, level 1 (7 %)")
    assert refused(found) == ["C24"]
    assert "level 1" in found.breaches[0].value


# Freshness


@pytest.mark.fault(77)
@pytest.mark.control("C25")
@pytest.mark.parametrize("kind", ["frozen", "delayed"])
def test_data_that_is_not_live_opens_nothing(kind: Any) -> None:
    assert refused(sent(quote=quote(kind=kind))) == ["C25"]


@pytest.mark.fault(87)
@pytest.mark.control("C25")
@pytest.mark.parametrize("seconds", [-2, 2, -1.001, 1.001, -86_400])
def test_a_clock_that_is_off_opens_nothing(seconds: float) -> None:
    assert refused(sent(clock_skew=timedelta(seconds=seconds))) == ["C25"]


@pytest.mark.fault(87)
@pytest.mark.control("C25")
def test_a_clock_that_stepped_back_sees_quotes_and_bars_of_the_future_and_opens_nothing() -> None:
    assert refused(sent(quote=quote(at=NOW + timedelta(seconds=1.5)))) == ["C25"]
    assert refused(sent(quote=quote(at=NOW + timedelta(seconds=1)))) == []
    assert refused(sent(**past_open(bar_at=LATER - timedelta(seconds=59)))) == ["C25"]
    assert refused(sent(reconciled_at=NOW + SECOND)) == ["C34"]


@pytest.mark.control("C25")
@pytest.mark.parametrize(
    ("since_open", "bar", "passes"),
    [
        (5, None, True),
        (119, None, True),
        (120, None, False),
        (120, 60, True),
        (125, 0, True),
        (209, 60, True),
        (210, 60, True),
        (211, 60, False),
        (60, -300, True),
        (130, -300, False),
    ],
)
def test_the_first_two_minutes_have_no_bar_yet(since_open: int, bar: int | None, passes: bool) -> None:
    now = SESSION.open + timedelta(seconds=since_open)
    bar_at = None if bar is None else SESSION.open + timedelta(seconds=bar)
    assert (refused(sent(**past_open(now, bar_at=bar_at))) == []) == passes


# The second price


@pytest.mark.fault(81)
@pytest.mark.control("C26")
@pytest.mark.parametrize("ratio", [Decimal(10), Decimal("0.1"), Decimal(2), Decimal("1.5")])
def test_a_series_that_was_not_adjusted_for_a_split_opens_nothing(ratio: Decimal) -> None:
    assert refused(sent(second_price=Decimal(50) * ratio)) == ["C26"]


@pytest.mark.control("C26")
@pytest.mark.parametrize("price", [None, "0", "-50", "NaN", "Infinity"])
def test_a_second_price_that_is_none_opens_nothing(price: str | None) -> None:
    assert refused(sent(second_price=Decimal(price) if price else None)) == ["C26"]


def test_a_quote_without_a_last_trade_opens_nothing() -> None:
    assert refused(sent(quote=quote(last=None))) == ["C26"]


# Crossing orders


@pytest.mark.control("C27")
def test_an_entry_that_could_trade_with_an_own_order_waits() -> None:
    found = sent(crossing=("old-target: sell 10 AAA at 50.00 USD", "old-stop: sell 10 AAA at 50.00 USD"))
    assert refused(found) == ["C27"]
    assert "old-target" in found.breaches[0].value
    assert "old-stop" in found.breaches[0].value


# Short sales


def sold(**otherwise: Any) -> list[str]:
    """The controls that refuse a short sale at 50.01, above a bid of 50.00, with shares to borrow."""
    asked = short(90, entry="50.01")
    known = {"locates": {"AAA": True}, "quote": quote("50.00", "50.02", last=Decimal("50.01"))}
    return refused(sent(asked, **{**known, **otherwise}))


@pytest.mark.control("C28", "C28c")
def test_a_short_sale_needs_the_operators_word_and_shares_to_borrow() -> None:
    assert sold() == []
    assert sold(limits=STRICT.model_copy(update={"short_selling": False})) == ["C28"]
    for found in ({}, {"AAA": False}, {"BBB": True}, {"AAA": None}, {"AAA": "yes"}):
        assert sold(locates=found) == ["C28c"]


@pytest.mark.control("C28c")
def test_a_short_sale_stands_above_the_bid_unless_the_exchange_is_known_not_to_ask_for_it() -> None:
    at_bid = quote("50.01", "50.02", last=Decimal("50.01"))
    assert sold(quote=at_bid) == sold(quote=at_bid, short_restricted=True) == ["C28c"]
    assert sold(quote=at_bid, short_restricted=False) == []


@pytest.mark.control("C28b")
def test_short_exposure_is_bounded_at_sending_too() -> None:
    limits = STRICT.model_copy(update={"short_exposure_fraction_max": 0.045})
    assert sold(limits=limits) == ["C28b"]


@pytest.mark.control("C22")
def test_a_short_sale_is_not_paid_in_cash() -> None:
    assert sold(values=values(intraday_excess_liquidity=None)) == ["C22"]


def test_the_same_market_judges_both_sides_of_a_quote() -> None:
    """A short sale meets the bid: 3 % and 0.5 % are counted from there."""
    asked = short(90, entry="50.01")
    low = changed(bracket(asked), 0, limit_price=Decimal("49.70"))
    assert "C6" in sold(orders=low)
