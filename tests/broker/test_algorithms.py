"""How an entry goes out: never beyond its limit, never more than its quantity, never too late."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.broker.algorithms import (
    BEFORE_CLOSE,
    EVERY,
    LOT,
    SLICES_MAX,
    Schedule,
    capped,
    later_slices,
    limit_now,
    shared_out,
    slices,
    to_safe_tick,
)
from trading_assets.broker.model import Quote, Side
from trading_assets.core.errors import DataNotReady, PermanentFailure

NOON = datetime(2026, 3, 25, 16, 0, tzinfo=UTC)
CLOSE = datetime(2026, 3, 25, 20, 0, tzinfo=UTC)
TICK = Decimal("0.01")
QUOTE = Quote("AAPL", NOON, bid=Decimal("99.98"), ask=Decimal("100.02"), bid_size=500, ask_size=500)


def scheduled(
    quantity: int = 100,
    *,
    style: str = "capped_limit",
    side: Side = "buy",
    limit: Decimal = Decimal("100.50"),
    quote: Quote = QUOTE,
    volume: float | None = 10_000_000.0,
    now: datetime = NOON,
) -> Schedule:
    return slices(style, side, quantity, limit, quote, volume, TICK, now=now, close=CLOSE)


def test_a_small_order_goes_out_whole_and_patiently() -> None:
    plan = scheduled()
    assert [(part.at, part.quantity, part.display_quantity) for part in plan.slices] == [(NOON, 100, 0)]
    assert (plan.limit_price, plan.algo, plan.why) == (Decimal("100.50"), "adaptive", "")


@pytest.mark.parametrize("style", ["passive_limit", "bid_plus_tick"])
def test_only_a_capped_limit_is_worked_by_the_brokers_algorithm(style: str) -> None:
    assert scheduled(style=style).algo == ""


def test_a_bid_plus_a_tick_follows_the_live_bid_but_not_beyond_the_plan() -> None:
    assert scheduled(style="bid_plus_tick").limit_price == Decimal("99.99")
    assert scheduled(style="bid_plus_tick", limit=Decimal("99.50")).limit_price == Decimal("99.50")


def test_a_passive_limit_stays_where_the_plan_put_it() -> None:
    assert scheduled(style="passive_limit", limit=Decimal("99.90")).limit_price == Decimal("99.90")


@pytest.mark.parametrize(("side", "expected"), [("buy", "100.50"), ("sell", "100.51")])
def test_a_limit_between_two_ticks_is_rounded_so_that_nothing_is_given_away(side: Side, expected: str) -> None:
    assert scheduled(side=side, limit=Decimal("100.507"), quote=QUOTE).limit_price == Decimal(expected)


def test_a_limit_beyond_the_collar_is_drawn_in() -> None:
    assert scheduled(limit=Decimal(150)).limit_price == Decimal("103.02")
    assert scheduled(side="sell", limit=Decimal(50)).limit_price == Decimal("96.99")


def test_more_than_half_a_percent_of_the_volume_is_sliced() -> None:
    assert len(scheduled(1000, volume=200_000).slices) == 1
    plan = scheduled(1001, volume=200_000)
    assert [part.quantity for part in plan.slices] == [501, 500]
    assert [part.at for part in plan.slices] == [NOON, NOON + EVERY]
    assert "1001" in plan.why


def test_more_than_twenty_displays_of_the_other_side_are_sliced() -> None:
    thin = replace(QUOTE, ask_size=10)
    assert len(scheduled(200, quote=thin).slices) == 1
    assert [part.quantity for part in scheduled(450, quote=thin).slices] == [150, 150, 150]


@pytest.mark.parametrize("volume", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_an_unknown_volume_counts_as_thin(volume: float | None) -> None:
    assert [part.quantity for part in scheduled(500, volume=volume).slices] == [LOT] * 5


def test_no_slice_is_smaller_than_a_lot() -> None:
    assert len(scheduled(150, volume=1000).slices) == 1


def test_what_is_large_beside_the_display_is_shown_in_part() -> None:
    shown = replace(QUOTE, bid_size=250)
    assert scheduled(1251, quote=shown).slices[0].display_quantity == 200
    assert scheduled(1250, quote=shown).slices[0].display_quantity == 0
    assert scheduled(2000, quote=replace(QUOTE, bid_size=3)).slices[0].display_quantity == LOT
    assert scheduled(2000, quote=replace(QUOTE, bid_size=None)).slices[0].display_quantity == 0


def test_an_order_that_would_show_all_of_itself_shows_itself() -> None:
    assert scheduled(100, quote=replace(QUOTE, bid_size=10)).slices[0].display_quantity == 0


def test_a_further_slice_has_a_limit_of_its_own_quote_and_never_a_worse_one() -> None:
    moved, signed, collar = (
        replace(QUOTE, bid=Decimal("99.00"), ask=Decimal("99.02")),
        Decimal("100.50"),
        Decimal("0.03"),
    )
    assert limit_now("capped_limit", "buy", signed, moved, TICK, collar) == signed
    assert limit_now("bid_plus_tick", "buy", signed, moved, TICK, collar) == Decimal("99.01")
    assert limit_now("capped_limit", "buy", Decimal(200), moved, TICK, collar) == Decimal("101.99")
    with pytest.raises(DataNotReady):
        limit_now("capped_limit", "buy", signed, replace(moved, bid=None), TICK, collar)


def test_stops_targets_and_an_exit_of_all_slices_are_fewer_than_a_broker_takes() -> None:
    assert 3 * SLICES_MAX < 20


def test_the_last_slice_goes_out_a_quarter_of_an_hour_before_the_close() -> None:
    late = CLOSE - BEFORE_CLOSE - EVERY
    plan = scheduled(1200, volume=1000, now=late)
    assert [part.at for part in plan.slices] == [late, late + EVERY]
    assert plan.quantity == 1200
    assert len(scheduled(1200, volume=1000, now=CLOSE - timedelta(minutes=1)).slices) == 1


def test_slices_come_due_one_after_another() -> None:
    plan = scheduled(1200, volume=1000)
    assert len(later_slices(plan, 0, NOON)) == 1
    assert later_slices(plan, 1, NOON) == ()
    assert [part.at for part in later_slices(plan, 1, NOON + 2 * EVERY)] == [NOON + EVERY, NOON + 2 * EVERY]


@pytest.mark.fault(72)
@pytest.mark.parametrize("quantity", [0, -1, 10**18])
def test_no_quantity_is_refused(quantity: int) -> None:
    with pytest.raises(PermanentFailure):
        scheduled(quantity)


@pytest.mark.fault(72)
@pytest.mark.parametrize("limit", ["NaN", "Infinity", "0", "-1"])
def test_no_limit_is_refused(limit: str) -> None:
    with pytest.raises(PermanentFailure):
        scheduled(limit=Decimal(limit))


def test_an_entry_at_the_market_is_refused() -> None:
    with pytest.raises(PermanentFailure):
        scheduled(style="market")


@pytest.mark.fault(76)
@pytest.mark.parametrize(
    "sides", [(None, 100), (100, None), (101, 100), (100, 100), ("NaN", 100), (0, 100), (100, "Infinity")]
)
def test_a_quote_that_is_none_gives_no_schedule(sides: tuple[object, object]) -> None:
    bid, ask = (None if side is None else Decimal(str(side)) for side in sides)
    with pytest.raises(DataNotReady):
        scheduled(quote=replace(QUOTE, bid=bid, ask=ask))


def test_an_exit_is_capped_through_the_other_side_on_the_safe_tick() -> None:
    assert capped(QUOTE, "sell", Decimal("0.005"), TICK) == Decimal("99.49")
    assert capped(QUOTE, "buy", 0.005, TICK) == Decimal("100.52")


def test_an_exit_needs_only_the_side_that_it_meets() -> None:
    assert capped(replace(QUOTE, ask=None), "sell", Decimal("0.005"), TICK) == Decimal("99.49")
    with pytest.raises(DataNotReady):
        capped(replace(QUOTE, bid=None), "sell", Decimal("0.005"), TICK)
    with pytest.raises(DataNotReady):
        capped(replace(QUOTE, bid=Decimal("NaN")), "sell", Decimal("0.005"), TICK)


@pytest.mark.parametrize("cap", [Decimal(0), Decimal(-1), Decimal("NaN"), Decimal("0.5")])
def test_a_cap_that_is_none_is_refused(cap: Decimal) -> None:
    with pytest.raises(PermanentFailure):
        capped(QUOTE, "sell", cap, TICK)


def test_a_price_below_one_tick_is_one_tick() -> None:
    assert to_safe_tick(Decimal("0.001"), "buy", TICK) == TICK


@given(
    quantity=st.integers(1, 5000),
    style=st.sampled_from(["capped_limit", "passive_limit", "bid_plus_tick"]),
    side=st.sampled_from(["buy", "sell"]),
    limit=st.decimals("50", "150", places=4),
    bid=st.decimals("60", "140", places=3),
    spread=st.decimals("0.001", "1", places=3),
    sizes=st.tuples(st.none() | st.integers(0, 2000), st.none() | st.integers(0, 2000)),
    volume=st.none() | st.floats(0, 1e7),
    tick=st.sampled_from(["0.01", "0.05", "0.0001"]),
    minutes=st.integers(0, 240),
)
@settings(max_examples=25, deadline=None)
def test_every_schedule_keeps_its_promises(
    quantity: int,
    style: str,
    side: Side,
    limit: Decimal,
    bid: Decimal,
    spread: Decimal,
    sizes: tuple[int | None, int | None],
    volume: float | None,
    tick: str,
    minutes: int,
) -> None:
    quote = Quote("AAPL", NOON, bid=bid, ask=bid + spread, bid_size=sizes[0], ask_size=sizes[1])
    now = NOON + timedelta(minutes=minutes)
    plan = slices(style, side, quantity, limit, quote, volume, Decimal(tick), now=now, close=CLOSE)
    assert plan.quantity == quantity
    assert 1 <= len(plan.slices) <= SLICES_MAX
    assert all(part.quantity > 0 and 0 <= part.display_quantity <= part.quantity for part in plan.slices)
    assert plan.limit_price <= limit if side == "buy" else plan.limit_price >= limit
    assert plan.limit_price % Decimal(tick) == 0
    assert all(part.at <= max(now, CLOSE - BEFORE_CLOSE) for part in plan.slices)
    far = quote.ask if side == "buy" else quote.bid
    assert far is not None
    assert plan.limit_price <= far * Decimal("1.03") if side == "buy" else plan.limit_price >= far * Decimal("0.97")


@given(st.integers(1, 10**6), st.integers(1, 50))
@settings(max_examples=25, deadline=None)
def test_shares_are_shared_out_exactly(quantity: int, parts: int) -> None:
    shares = shared_out(quantity, parts)
    assert sum(shares) == quantity
    assert max(shares) - min(shares) <= 1
