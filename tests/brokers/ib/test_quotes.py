"""Quotes over the real wire: live or not, halted or not, and asked for again after doubt."""

from decimal import Decimal

import pytest

from tests.brokers.ib.hands import AAPL, MSFT, Desk, market, with_desk
from tests.tws.client import until
from tests.tws.faults import LinkLost
from trading_assets.broker.model import Contract, Quote

WATCH, UNWATCH = 1, 2


async def newest(desk: Desk, price: str) -> Quote:
    """The quote whose last price is that."""
    await until(lambda: desk.quotes() and desk.quotes()[-1].last == Decimal(price))
    return desk.quotes()[-1]


def test_a_watched_contract_is_quoted_from_the_first_moment_on() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.watch([AAPL, MSFT])
        await until(lambda: {quote.symbol for quote in desk.quotes() if quote.is_sound} == {"AAPL", "MSFT"})
        gateway.set_quote("AAPL", "101.00", "101.02", last="101.01", bid_size=200, ask_size=300)
        quote = await newest(desk, "101.01")
        assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == (Decimal(101), Decimal("101.02"), 200, 300)
        assert (quote.kind, quote.halted, quote.is_sound) == ("live", False, True)
        assert quote.volume is not None

    with market() as gateway:
        with_desk(gateway, work)


def test_what_is_watched_is_not_asked_for_twice() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.watch([AAPL])
        desk.broker.watch([AAPL, MSFT])
        await desk.broker.time()

    with market() as gateway:
        with_desk(gateway, work)
        assert len(gateway.asked(WATCH)) == 2


@pytest.mark.fault(75)
@pytest.mark.fault(76)
def test_a_side_that_is_missing_is_none_and_the_quote_not_sound() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.watch([AAPL])
        await until(desk.quotes)
        gateway.set_quote("AAPL", None, "103.02", last="103.00")
        quote = await newest(desk, "103.00")
        assert (quote.bid, quote.ask, quote.is_sound) == (None, Decimal("103.02"), False)

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(77)
@pytest.mark.parametrize(("kind", "expected"), [(2, "frozen"), (3, "delayed"), (4, "delayed")])
def test_data_that_are_not_live_say_so_on_every_quote(kind: int, expected: str) -> None:
    async def work(desk: Desk) -> None:
        desk.broker.watch([AAPL])
        await until(desk.quotes)
        gateway.do(lambda: gateway.market.change_kind(kind))
        await until(lambda: desk.quotes()[-1].kind == expected)
        gateway.set_price("AAPL", "104.00")
        await until(lambda: desk.quotes()[-1].bid == Decimal("103.99"))
        assert desk.quotes()[-1].kind == expected

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(83)
def test_a_halt_is_on_the_quote_and_so_is_its_end() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.watch([AAPL])
        await until(desk.quotes)
        gateway.halt("AAPL")
        await until(lambda: desk.quotes()[-1].halted)
        gateway.halt("AAPL", halted=False)
        await until(lambda: not desk.quotes()[-1].halted)

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(77)
@pytest.mark.parametrize("code", [354, 10089, 10168, 10186])
def test_quotes_that_are_refused_are_told_with_their_symbol_and_can_be_asked_for_again(code: int) -> None:
    async def work(desk: Desk) -> None:
        gateway.market.refusals["AAPL"] = (code, "not subscribed")
        desk.broker.watch([AAPL])
        notice = await desk.hears_code(code)
        assert (notice.reaction, notice.order_id, notice.text) == ("no_live_data", 0, "AAPL: not subscribed")
        gateway.market.refusals.clear()
        desk.broker.watch([AAPL])
        await until(desk.quotes)

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(82)
def test_quotes_of_a_contract_that_is_gone_are_refused_by_name() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.watch([Contract("GONE", 99)])
        notice = await desk.hears_code(200)
        assert (notice.reaction, notice.order_id) == ("no_contract", 0)
        assert notice.text.startswith("GONE: ")

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(44)
def test_a_competing_login_is_told() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.watch([AAPL])
        await until(desk.quotes)
        gateway.do(lambda: gateway.market.end_all(10197, "No market data during competing live session"))
        assert (await desk.hears_code(10197)).reaction == "competing_login"
        desk.events.clear()
        desk.broker.watch([AAPL])
        await until(desk.quotes)

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(34)
@pytest.mark.parametrize("data_kept", [True, False])
def test_after_the_link_was_lost_everything_is_asked_for_again(data_kept: bool) -> None:
    async def work(desk: Desk) -> None:
        desk.broker.watch([AAPL, MSFT])
        await until(lambda: {quote.symbol for quote in desk.quotes()} == {"AAPL", "MSFT"})
        link = LinkLost(gateway)
        link.begin()
        link.end(data_kept=data_kept)
        await desk.hears_code(1102 if data_kept else 1101)
        desk.events.clear()
        desk.broker.watch([AAPL, MSFT])
        await until(lambda: {quote.symbol for quote in desk.quotes()} == {"AAPL", "MSFT"})
        assert gateway.market.watched() == ["AAPL", "MSFT"]

    with market() as gateway:
        with_desk(gateway, work)
        assert len(gateway.asked(WATCH)) == 4
        assert len(gateway.asked(UNWATCH)) == 2


@pytest.mark.fault(34)
def test_a_farm_that_was_down_casts_doubt_and_its_greeting_does_not() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.watch([AAPL])
        desk.broker.watch([AAPL])
        await until(desk.quotes)
        gateway.tell(2103, "Market data farm connection is broken:usfarm")
        assert (await desk.hears_code(2103)).reaction == "data_lost"
        gateway.tell(2104, "Market data farm connection is OK:usfarm")
        await until(lambda: len(desk.notices(2104)) == 2)
        desk.events.clear()
        desk.broker.watch([AAPL])
        await until(desk.quotes)

    with market() as gateway:
        with_desk(gateway, work)
        assert len(gateway.asked(WATCH)) == 2
