"""Controls on who sends: signatures, rates, margin, account, models' cost, the limits' hash, the lease, a book that is known."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.signatures.at_sending import HASH, NOW, STRICT, bracket, counters, exiting, ready, refused, sent, values
from tests.signatures.gated import around, holding, leaving, plan, portfolio
from trading_assets.broker.model import MarginImpact
from trading_assets.plans.portfolio import Pending, Portfolio
from trading_assets.signatures.controls import judge_at_sending

NAN = Decimal("NaN")


def reduced(**otherwise: Any) -> list[str]:
    """The controls that refuse an exit of 100 shares that are held."""
    asked = leaving()
    book = portfolio(holding("AAA", 5_000))
    return refused(judge_at_sending(asked, around(book, STRICT, state="HALTED"), ready(asked, **otherwise)))


def in_book(book: Portfolio, **otherwise: Any) -> list[str]:
    asked = plan()
    return refused(judge_at_sending(asked, around(book, STRICT), ready(asked, **otherwise)))


# Signatures


@pytest.mark.control("C2")
def test_an_order_without_its_signatures_does_not_leave() -> None:
    for problem in ("double_checker has not signed", "risk_gate: expired", "fact_checker: signed another quantity"):
        found = sent(seals=problem)
        assert (refused(found), found.breaches[0].value) == (["C2"], problem)
    assert reduced(seals="expired") == ["C2"]


@pytest.mark.control("C2")
def test_only_a_reduction_is_the_gateways_own_and_goes_unsigned() -> None:
    assert reduced(seals="no signature", own=True) == []
    assert refused(sent(own=True)) == ["C2"]
    assert refused(sent(own=True, seals="no signature")) == ["C2"]


# What is in flight counts


@pytest.mark.control("C7")
def test_what_is_in_flight_counts_in_full_against_the_position() -> None:
    assert in_book(portfolio().with_pending(Pending("AAA", Decimal("0.01")))) == ["C7", "C27"]


@pytest.mark.control("C8")
def test_the_ninth_position_is_refused_though_eight_are_unknown() -> None:
    book = portfolio()
    for number in range(8):
        book = book.with_pending(Pending(f"H{number}", Decimal(1)))
    assert in_book(book) == ["C8"]


@pytest.mark.control("C9", "C9b", "C9c")
def test_what_is_in_flight_counts_in_full_against_exposure_and_cash() -> None:
    assert in_book(portfolio().with_pending(Pending("CCC", Decimal(55_000)))) == []
    assert in_book(portfolio().with_pending(Pending("CCC", Decimal("55000.01")))) == ["C9c"]
    assert in_book(portfolio().with_pending(Pending("CCC", Decimal("95000.01")))) == ["C9", "C9b", "C9c", "C22"]


@pytest.mark.control("C10")
def test_a_symbol_of_no_sector_is_not_bought() -> None:
    found = judge_at_sending(plan(), around(preferences=STRICT, sectors={}), ready(plan()))
    assert refused(found) == ["C10"]


@pytest.mark.control("C4")
@pytest.mark.parametrize(("limit", "wrong"), [("5000.00", []), ("4999.99", ["C4"])])
def test_the_value_of_an_order_is_bounded_at_sending_to_the_cent(limit: str, wrong: list[str]) -> None:
    limits = STRICT.model_copy(update={"order_notional_usd_max": float(limit)})
    assert refused(sent(limits=limits)) == wrong


# Rates


@pytest.mark.control("C14")
@pytest.mark.parametrize(
    "told",
    [
        {"orders_last_minute": -1},
        {"orders_today": -1},
        {"orders_last_minute": 10**9},
        {"last_order": {"AAA": NOW + timedelta(seconds=1)}},
    ],
)
def test_counters_that_cannot_be_are_refused(told: dict[str, Any]) -> None:
    assert refused(sent(counters=counters(**told))) == ["C14"]


@pytest.mark.control("C14")
def test_the_rate_never_keeps_a_reduction_back() -> None:
    busy = counters(orders_last_minute=10**6, orders_today=10**6, last_order={"AAA": NOW}, entries_today={"AAA": 99})
    assert reduced(counters=busy) == []
    assert refused(sent(counters=busy)) == ["C14", "C15"]


def test_another_symbols_orders_do_not_count_for_this_one() -> None:
    assert refused(sent(counters=counters(last_order={"BBB": NOW}, entries_today={"BBB": 3}))) == []


@pytest.mark.control("C15")
def test_the_fourth_entry_in_a_symbol_is_refused_whoever_asks() -> None:
    for entered, wrong in ((2, []), (3, ["C15"]), (4, ["C15"]), (-1, ["C15"])):
        assert refused(sent(counters=counters(entries_today={"AAA": entered}))) == wrong


# Margin


def impact(initial: str | None, maintenance: str | None = "20000", equity: str | None = "120000") -> MarginImpact:
    told = [None if each is None else Decimal(each) for each in (initial, maintenance, equity)]
    return MarginImpact(initial_margin_after=told[0], maintenance_margin_after=told[1], equity_after=told[2])


@pytest.mark.control("C21")
@pytest.mark.parametrize(
    "margin",
    [
        None,
        impact(None),
        impact("50000", None),
        impact("50000", equity=None),
        impact("NaN"),
        impact("Infinity"),
        impact("-1"),
        impact("50000", "NaN"),
        impact("50000", equity="NaN"),
        impact("50000", "120000"),
        impact("0", "120000"),
        impact("50000", "100000"),
    ],
)
def test_a_margin_that_is_unknown_absurd_or_too_large_is_refused(margin: MarginImpact | None) -> None:
    assert refused(sent(margin=margin)) == ["C21"]


@pytest.mark.control("C21")
@pytest.mark.parametrize("excess", [None, "0", "-1", "NaN", "62499.99"])
def test_what_the_account_has_left_bounds_the_margin_too(excess: str | None) -> None:
    left = values(excess_liquidity=None if excess is None else Decimal(excess))
    assert refused(sent(margin=impact("50000"), values=left)) == ["C21"]


@pytest.mark.control("C22")
@pytest.mark.parametrize(
    ("block", "cash", "wrong"),
    [
        ("5000", "0", []),
        ("4999.99", "100000", ["C22"]),
        ("0", "100000", ["C22"]),
        ("-1", "100000", ["C22"]),
        ("NaN", "100000", ["C22"]),
        (None, "5000", []),
        (None, "4999.99", ["C22"]),
        (None, None, ["C22"]),
    ],
)
def test_without_the_brokers_margin_block_there_is_cash_only(
    block: str | None, cash: str | None, wrong: list[str]
) -> None:
    told = {"intraday_excess_liquidity": block, "cash": cash}
    amounts = {key: None if value is None else Decimal(value) for key, value in told.items()}
    assert refused(sent(values=values(**amounts))) == wrong


# The account


@pytest.mark.control("C29")
def test_another_account_is_traded_in_no_way() -> None:
    wrong = "account U1234567 answers, expected DU1234567"
    assert refused(sent(account=wrong)) == ["C29"]
    assert reduced(account=wrong) == ["C29"]


@pytest.mark.control("C30")
@pytest.mark.parametrize("equity", [None, "0", "-1", "NaN", "Infinity", "110000.01", "1000000"])
def test_an_account_that_is_funded_mid_day_or_absurd_opens_nothing(equity: str | None) -> None:
    told = values(equity=None if equity is None else Decimal(equity))
    assert refused(sent(values=told)) == ["C30"]
    assert reduced(values=told) == []


@pytest.mark.control("C30")
@pytest.mark.parametrize("capital", ["0", "-1", "NaN"])
def test_a_capital_that_is_none_opens_nothing(capital: str) -> None:
    assert refused(sent(capital_usd=Decimal(capital), values=values(equity=Decimal(1)))) == ["C30"]


# What thinking costs


@pytest.mark.control("C31")
@pytest.mark.parametrize(
    ("decision", "day", "wrong"),
    [
        ("0.05", "5", []),
        ("0.050001", "0.06", ["C31"]),
        ("0.01", "5.000001", ["C31"]),
        ("-0.01", "1", ["C31"]),
        ("NaN", "1", ["C31"]),
        ("0", "NaN", ["C31"]),
    ],
)
def test_a_decision_whose_thinking_cost_too_much_opens_nothing(decision: str, day: str, wrong: list[str]) -> None:
    spent = counters(decision_cost_usd=Decimal(decision), day_cost_usd=Decimal(day))
    assert refused(sent(counters=spent)) == wrong
    assert reduced(counters=spent) == []


# The limits' hash


@pytest.mark.control("C32")
@pytest.mark.parametrize("name", ["limits_hash", "pinned_hash", "intent_hash"])
@pytest.mark.parametrize("other", ["b" + HASH[1:], "", HASH.upper(), HASH + " "])
def test_limits_that_are_not_those_of_the_signature_open_nothing(name: str, other: str) -> None:
    told: dict[str, Any] = {name: other}
    assert refused(sent(**told)) == ["C32"]
    assert reduced(**told) == []


@pytest.mark.control("C32")
def test_three_hashes_that_are_unknown_do_not_agree() -> None:
    assert refused(sent(limits_hash="", pinned_hash="", intent_hash="")) == ["C32"]


# The lease, and a book that is known


@pytest.mark.control("C33")
def test_who_lost_the_lease_sends_nothing_at_all() -> None:
    assert refused(sent(lease="token 4 is held, token 3 is ours")) == ["C33"]
    assert reduced(lease="it ran out") == ["C33"]


@pytest.mark.control("C34")
def test_a_book_that_is_not_known_opens_nothing_and_may_be_reduced() -> None:
    for told in ({"reconciled_at": None}, {"disagrees": "AAA: ledger 100, broker 90"}):
        assert refused(sent(**told)) == ["C34"]
        assert reduced(**told) == []


# What reduces is asked nothing else


def test_a_reduction_goes_where_nothing_else_is_known() -> None:
    blind: dict[str, Any] = {
        "session": None,
        "quote": None,
        "second_price": None,
        "margin": None,
        "clock_skew": None,
        "contracts": 0,
        "listed": False,
        "halted": True,
        "breaker": "flash crash",
        "crossing": ("an own entry",),
    }
    assert reduced(**blind) == []
    assert {"C5", "C17", "C21", "C23", "C24", "C25", "C26", "C27"} <= set(refused(sent(**blind)))


def test_a_reduction_of_a_short_position_buys_back() -> None:
    asked = leaving(side="short")
    book = portfolio(holding("AAA", -5_000, quantity=-100), cash=105_000)
    surroundings = around(book, STRICT, state="HALTED")
    assert refused(judge_at_sending(asked, surroundings, ready(asked))) == []
    assert "C3" in refused(judge_at_sending(asked, surroundings, ready(asked, orders=exiting(leaving()))))
    assert "C3" in refused(judge_at_sending(asked, surroundings, ready(asked, orders=bracket(plan()))))
