"""Controls on the orders themselves: how many, of what, at which prices, in which shape."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.signatures.at_sending import CONTRACT, STRICT, bracket, changed, exiting, quote, ready, refused, sent, values
from tests.signatures.gated import around, holding, leaving, plan, portfolio, short
from trading_assets.broker.model import OrderRequest, Quote
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.controls import judge_at_sending
from trading_assets.signatures.market_rules import furthest
from trading_assets.signatures.risk_gate import judge

NAN, INFINITE = float("nan"), float("inf")
ABSURD_QUANTITIES: tuple[Any, ...] = (0, -1, 1.5, NAN, INFINITE, -INFINITE, True, None, "100", Decimal(100))
ORDERS = bracket(plan())


def quit_with(asked: TradePlan, held: int = 100, **otherwise: Any) -> list[str]:
    """The controls that refuse a reduction of so many shares held, under a halt."""
    book = portfolio(holding("AAA", held * 50, quantity=held), cash=100_000)
    surroundings = around(book, STRICT, state="HALTED", volume=None, sectors={})
    return refused(judge_at_sending(asked, surroundings, ready(asked, **otherwise)))


# Quantities


@pytest.mark.fault(72)
@pytest.mark.control("C3")
@pytest.mark.filterwarnings("ignore:Pydantic serializer")
@pytest.mark.parametrize("quantity", ABSURD_QUANTITIES)
def test_what_is_no_number_of_shares_is_neither_planned_nor_sent(quantity: Any) -> None:
    """Plans cannot be made like this; whoever makes one past the model is refused here."""
    absurd = plan().model_copy(update={"quantity": quantity})
    refusal = judge(absurd, around())
    assert (refusal.ruling, refusal.quantity, refusal.breaches[0].control) == ("veto", 0, "C3")
    assert judge_at_sending(absurd, around(preferences=STRICT), ready(plan())).breaches[0].control == "C3"
    assert sent(quantity=quantity).breaches[0].control == "C3"
    leaves = leaving().model_copy(update={"quantity": quantity})
    assert judge(leaves, around(portfolio(holding("AAA")))).ruling == "veto"
    assert quit_with(leaving(), quantity=quantity)[0] == "C3"


@pytest.mark.parametrize("quantity", ABSURD_QUANTITIES)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_order_of_no_number_of_shares_is_refused(quantity: Any, number: int) -> None:
    assert "C3" in refused(sent(orders=changed(ORDERS, number, quantity=quantity)))


@pytest.mark.control("C3")
def test_an_enormous_quantity_is_refused() -> None:
    for quantity in (501, 1_000_000, 10**18):
        enormous = plan().model_copy(update={"quantity": quantity})
        assert judge(enormous, around(preferences=STRICT)).quantity <= 500
        assert "C3" in refused(judge_at_sending(enormous, around(preferences=STRICT), ready(enormous)))


def test_more_than_was_signed_is_refused_whatever_the_plan_asked_for() -> None:
    asked = plan(200)
    assert refused(sent(asked, quantity=100, orders=bracket(plan(101))))[0] == "C3"
    assert refused(sent(plan(), quantity=101))[0] == "C3"
    assert refused(sent(asked, quantity=100, orders=bracket(plan(100)))) == []


def test_a_slice_is_less_than_what_was_signed() -> None:
    assert refused(sent(plan(), orders=bracket(plan(40)))) == []


def test_nothing_to_send_is_refused() -> None:
    assert {"C3", "C6", "C19c", "C5", "C17"} <= set(refused(sent(orders=())))
    assert quit_with(leaving(), orders=()) == ["C3"]


def test_a_second_entry_beside_the_first_is_refused() -> None:
    twin = replace(ORDERS[0], key="twin", quantity=1)
    assert {"C3", "C19c"} <= set(refused(sent(orders=(twin, *ORDERS))))


# Kinds and prices


@pytest.mark.control("C6")
@pytest.mark.parametrize(
    "change",
    [
        {"kind": "market", "limit_price": None},
        {"kind": "market"},
        {"kind": "stop", "limit_price": None, "stop_price": Decimal(50)},
        {"limit_price": None},
        {"stop_price": Decimal(49)},
        {"limit_price": Decimal("50.005")},
        {"limit_price": Decimal("50.01")},
        {"outside_hours": True},
    ],
)
def test_an_entry_is_a_limit_order_on_the_tick_and_never_worse_than_the_plan(change: dict[str, Any]) -> None:
    assert "C6" in refused(sent(orders=changed(ORDERS, 0, **change)))


@pytest.mark.control("C6")
@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity", "-Infinity", "1E+18"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_price_that_is_none_is_never_sent(price: str, number: int) -> None:
    field = "stop_price" if number == 2 else "limit_price"
    assert sent(orders=changed(ORDERS, number, **{field: Decimal(price)})).ruling == "veto"


@pytest.mark.fault(75)
@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity", "1E+18"])
@pytest.mark.parametrize("field", ["reference", "entry", "stop", "target"])
def test_a_plan_with_a_price_that_is_none_is_refused_at_once(field: str, price: str) -> None:
    absurd = plan().model_copy(update={field: Decimal(price)})
    if (field, price) != ("reference", "1E+18"):
        assert judge(absurd, around()).ruling == "veto"
        assert sent(absurd).ruling == "veto"


def test_the_furthest_limit_never_passes_the_plan_nor_the_cap() -> None:
    tick = Decimal("0.01")
    dear, cheap = quote("59.99", "60.00"), quote("39.99", "40.00")
    assert furthest(plan(), dear, STRICT, tick) == Decimal("50.00")
    assert furthest(plan(), cheap, STRICT, tick) == Decimal("40.20")
    assert furthest(short(), dear, STRICT, tick) == Decimal("59.70")
    assert furthest(short(), cheap, STRICT, tick) == Decimal("50.00")
    assert furthest(plan(), quote("49.11", "49.13"), STRICT, tick) == Decimal("49.37")
    assert furthest(short(entry="10.00"), quote("49.11", "49.13"), STRICT, tick) == Decimal("48.87")


@pytest.mark.parametrize("market", [None, quote(None), quote(ask=None), quote("50.01", "50.00"), quote("50", "50")])
def test_without_a_sound_quote_there_is_no_furthest_limit(market: Quote | None) -> None:
    assert furthest(plan(), market, STRICT, Decimal("0.01")) is None


def test_what_the_furthest_limit_says_is_what_the_control_lets_pass() -> None:
    market = quote("49.61", "49.63")
    worst = furthest(plan(), market, STRICT, CONTRACT.min_tick)
    assert worst is not None
    assert refused(sent(quote=market, second_price=Decimal("49.80"), orders=bracket(plan(), limit=str(worst)))) == []
    beyond = bracket(plan(), limit=str(worst + CONTRACT.min_tick))
    assert refused(sent(quote=market, second_price=Decimal("49.80"), orders=beyond)) == ["C6"]


@pytest.mark.control("C6")
def test_a_reduction_is_a_limit_order_and_a_market_order_only_to_flatten() -> None:
    asked = leaving()
    assert quit_with(asked, orders=exiting(asked, kind="market")) == ["C6"]
    assert quit_with(asked, orders=exiting(asked, kind="market"), flattens=True) == []
    assert quit_with(asked, orders=exiting(asked, price="49.905")) == ["C6"]
    assert quit_with(asked, orders=exiting(asked, kind="stop", price="45.00"), own=True) == []


# The symbol


@pytest.mark.control("C17")
@pytest.mark.parametrize(
    "symbol",
    [
        "\u0410AAA",
        "AAPL\u200b",
        "AAPL\u2169",
        "\uff21\uff21\uff30\uff2c",
        "aapl",
        "A APL X",
        "",
        " ",
        "AAPL;",
        "../AAPL",
        "A" * 11,
        "AAPL\n",
        "1AA",
    ],
)
def test_a_look_alike_is_no_ticker(symbol: str) -> None:
    asked = plan().model_copy(update={"symbol": symbol})
    found = sent(asked, orders=bracket(asked))
    assert "C17" in refused(found)
    assert all(breach.sentence.isascii() for breach in found.breaches if breach.control == "C17")


@pytest.mark.parametrize("symbol", ["A", "AAPL", "BRK.B", "BRK B", "BF-B", "GOOGL"])
def test_a_ticker_of_the_exchange_is_one(symbol: str) -> None:
    asked = plan(symbol=symbol)
    assert "C17" not in [each.control for each in sent(asked, orders=bracket(asked)).breaches]


@pytest.mark.control("C17")
@pytest.mark.parametrize(
    "told", [{"listed": False}, {"contracts": 0}, {"contracts": 2}, {"contracts": -1}, {"universe": 0}]
)
def test_a_symbol_that_is_delisted_ambiguous_or_not_ours_is_refused(told: dict[str, Any]) -> None:
    assert refused(sent(**told)) == ["C17"]


@pytest.mark.parametrize(
    "contract", [replace(CONTRACT, symbol="AAPLX"), replace(CONTRACT, con_id=0), replace(CONTRACT, con_id=1)]
)
def test_orders_of_a_plan_are_for_its_own_contract(contract: Any) -> None:
    assert "C17" in refused(sent(orders=changed(ORDERS, 2, contract=contract)))


# The instrument


@pytest.mark.control("C18c")
@pytest.mark.parametrize("told", [{"kind": "OPT"}, {"kind": "CASH"}, {"kind": ""}, {"currency": "EUR"}])
def test_only_stocks_in_usd_are_bought(told: dict[str, str]) -> None:
    orders = tuple(replace(order, contract=replace(CONTRACT, **told)) for order in ORDERS)  # type: ignore[arg-type]
    assert refused(sent(orders=orders)) == ["C18c"]


@pytest.mark.control("C18c")
def test_an_account_in_another_currency_buys_nothing() -> None:
    assert refused(sent(values=values(currency="EUR"))) == ["C18c"]


@pytest.mark.control("C18", "C18b", "C18c")
@pytest.mark.parametrize("volume", [None, 0.0, -1.0, NAN, INFINITE])
def test_an_average_volume_that_is_missing_or_absurd_is_refused_at_sending(volume: float | None) -> None:
    asked = plan()
    found = judge_at_sending(asked, around(preferences=STRICT, volume=volume), ready(asked))
    assert refused(found) == ["C18b", "C18c"]


# The bracket


@pytest.mark.control("C19", "C19c")
@pytest.mark.parametrize(
    "orders",
    [
        ORDERS[:1],
        (replace(ORDERS[0], transmit=True),),
        (replace(ORDERS[0], transmit=True), *ORDERS[1:]),
        ORDERS[:2],
        (ORDERS[0], ORDERS[2], ORDERS[1]),
        (*ORDERS[1:], ORDERS[0]),
        changed(ORDERS, 1, transmit=True),
        changed(ORDERS, 2, transmit=False),
        changed(ORDERS, 2, stop_price=Decimal("48.99")),
        changed(ORDERS, 2, kind="limit", stop_price=None, limit_price=Decimal("49.00")),
        changed(ORDERS, 1, limit_price=Decimal("52.01")),
        changed(ORDERS, 2, quantity=99),
        changed(ORDERS, 2, quantity=101),
        changed(ORDERS, 2, parent_id=0),
        changed(ORDERS, 2, parent_id=8),
        changed(ORDERS, 2, side="buy"),
        changed(ORDERS, 2, tif="day"),
        changed(ORDERS, 0, tif="gtc"),
        changed(ORDERS, 0, parent_id=1),
        changed(ORDERS, 2, oca_group="another"),
        changed(changed(ORDERS, 2, oca_group=""), 1, oca_group=""),
        (ORDERS[0], replace(ORDERS[2], oca_group="")),
        changed(ORDERS, 2, ref="D1:another"),
        (*ORDERS, replace(ORDERS[2], key="more", order_id=10)),
    ],
)
def test_an_entry_never_leaves_without_the_stop_that_covers_it(orders: tuple[OrderRequest, ...]) -> None:
    assert "C19c" in refused(sent(orders=orders))


def test_a_bracket_without_a_target_is_one() -> None:
    assert refused(sent(orders=(ORDERS[0], ORDERS[2]))) == []


@pytest.mark.control("C19")
@pytest.mark.parametrize("stop", ["50.00", "50.01", "60.00", "49.86", "47.49", "0.01"])
def test_a_stop_on_the_wrong_side_or_out_of_bounds_is_refused_at_sending(stop: str) -> None:
    asked = plan(10, stop=stop, target="60.00")
    assert "C19" in refused(sent(asked))


@pytest.mark.control("C19c")
def test_a_stop_that_the_quote_would_set_off_at_once_is_refused() -> None:
    """The market has fallen to the stop: the plan's own distances are as they were."""
    near = quote("48.99", "49.01", last=Decimal(49))
    assert refused(sent(quote=near, second_price=Decimal(49), orders=bracket(plan(), limit="49.20"))) == ["C19c"]
    there = quote("49.00", "49.02", last=Decimal(49))
    assert "C19c" in refused(sent(quote=there, second_price=Decimal(49), orders=bracket(plan(), limit="49.20")))
    above = quote("49.01", "49.03", last=Decimal(49))
    assert refused(sent(quote=above, second_price=Decimal(49), orders=bracket(plan(), limit="49.20"))) == []


@pytest.mark.control("C19", "C19c")
def test_a_better_limit_too_near_the_stop_is_refused() -> None:
    market = quote("49.05", "49.08", last=Decimal("49.07"))
    found = sent(quote=market, second_price=Decimal("49.07"), orders=bracket(plan(), limit="49.10"))
    assert refused(found) == ["C19", "C19c"]


@pytest.mark.control("C20")
def test_the_risk_of_a_trade_is_measured_from_the_limit_that_is_sent() -> None:
    asked = plan(400, entry="12.50", stop="12.00", target="14.00")
    limits = STRICT.model_copy(update={"risk_per_trade_fraction_max": 0.0019})
    market = quote("12.48", "12.50", last=Decimal("12.49"))
    for limit, wrong in (("12.50", ["C20"]), ("12.47", [])):
        moment = ready(asked, quote=market, second_price=Decimal("12.50"), orders=bracket(asked, limit=limit))
        assert refused(judge_at_sending(asked, around(preferences=limits), moment)) == wrong


# What is held


@pytest.mark.control("X1")
@pytest.mark.parametrize(
    ("held", "leaves", "wrong"),
    [
        (100, 0, []),
        (150, 50, []),
        (99, 0, ["X1"]),
        (150, 51, ["X1"]),
        (100, 100, ["X1"]),
        (-100, 0, ["X1"]),
        (100, -1, ["X1"]),
    ],
)
def test_nothing_is_sold_twice(held: int, leaves: int, wrong: list[str]) -> None:
    assert sorted(set(quit_with(leaving(), held, leaving=leaves))) == wrong


def test_a_reduction_on_the_wrong_side_is_refused() -> None:
    asked = leaving()
    bought = changed(exiting(asked), 0, side="buy")
    assert quit_with(asked, orders=bought) == ["C3"]
    assert quit_with(asked, orders=(*exiting(asked), *bought)) == ["C3"]
