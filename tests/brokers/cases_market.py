"""B57 to B66: contracts, quotes, halts and margin."""

from decimal import Decimal

from tests.brokers.scene import Cases, Scene, moment, until

case = Cases()


@case("B57")
async def a_symbol_resolves_to_one_contract_in_dollars(scene: Scene) -> None:
    (contract,) = await scene.broker.resolve("AAPL")
    assert (contract.symbol, contract.currency, contract.kind) == ("AAPL", "USD", "STK")
    assert contract.con_id > 0
    assert contract.min_tick == Decimal("0.01")
    assert await scene.broker.resolve("AAPL") == (contract,)


@case("B58")
async def a_symbol_that_nobody_lists_resolves_to_nothing(scene: Scene) -> None:
    assert await scene.broker.resolve("NOPE") == ()


@case("B59")
async def quotes_of_what_is_watched_are_told_with_both_sides(scene: Scene) -> None:
    await scene.stage.quote("AAPL", "101.00", "101.02", last="101.01")
    await until(lambda: _last(scene) == ("101.00", "101.02"), "the quote is told")
    quote = scene.ear.quotes("AAPL")[-1]
    assert (quote.is_sound, quote.kind, quote.halted) == (True, "live", False)
    assert quote.at.utcoffset() is not None


@case("B60")
async def a_side_that_is_not_there_is_missing_and_never_a_number(scene: Scene) -> None:
    await scene.stage.quote("AAPL", None, "101.02", last="101.00")
    await until(lambda: _last(scene) == (None, "101.02"), "the one-sided quote is told")
    quote = scene.ear.quotes("AAPL")[-1]
    assert not quote.is_sound
    assert quote.mid is None


@case("B61")
async def a_halt_is_told_with_the_quote_and_its_end_too(scene: Scene) -> None:
    await scene.stage.quote("AAPL", "100.00", "100.02", halted=True)
    await until(lambda: bool(scene.ear.quotes("AAPL")) and scene.ear.quotes("AAPL")[-1].halted, "the halt is told")
    await scene.stage.quote("AAPL", "100.00", "100.02")
    await until(lambda: not scene.ear.quotes("AAPL")[-1].halted, "its end is told")


@case("B62")
async def nothing_trades_in_a_halt_and_a_market_order_waits_for_its_end(scene: Scene) -> None:
    await scene.stage.quote("AAPL", "100.00", "100.02", halted=True)
    order = scene.order("buy", 10, "market")
    await scene.place(order)
    await moment()
    assert (await scene.truth()).fills == ()
    assert await scene.lives(order)
    await scene.stage.quote("AAPL", "100.00", "100.02")
    await scene.has_filled(order, 10)


@case("B63")
async def a_question_about_margin_places_nothing(scene: Scene) -> None:
    impact = await scene.broker.what_if(scene.order("buy", 100, at="100.10"))
    assert impact.initial_margin_after is None or 0 < impact.initial_margin_after <= 20_000
    assert impact.equity_after is None or abs(impact.equity_after - 1_000_000) < 20
    await moment()
    assert (await scene.truth()).orders == ()
    assert (await scene.broker.snapshot()).reports == ()


@case("B64")
async def an_order_may_follow_a_question_about_it(scene: Scene) -> None:
    order = scene.order("buy", 10, at="90.00")
    await scene.broker.what_if(order)
    await scene.place(order)
    assert await scene.lives(order)


@case("B65")
async def quotes_come_again_once_they_are_asked_for_after_a_new_connection(scene: Scene) -> None:
    await scene.broker.close()
    await scene.broker.connect()
    scene.broker.watch(tuple(scene.contracts.values()))
    await scene.stage.quote("AAPL", "102.00", "102.02")
    await until(lambda: _last(scene) == ("102.00", "102.02"), "the quote is told")


@case("B66")
async def only_what_is_watched_is_told(scene: Scene) -> None:
    other = await scene.another()
    await other.broker.close()
    await other.broker.connect()
    other.events.clear()
    other.broker.watch((scene.contracts["MSFT"],))
    await scene.stage.quote("AAPL", "102.00", "102.02")
    await scene.stage.quote("MSFT", "103.00", "103.02")
    await until(lambda: any(q.bid == Decimal("103.00") for q in other.quotes("MSFT")), "the other quote is told")
    assert other.quotes("AAPL") == []
    await other.broker.close()


def _last(scene: Scene) -> tuple[str | None, str | None]:
    """The sides that were told last."""
    told = scene.ear.quotes("AAPL")
    if not told:
        return ("", "")
    sides = tuple(f"{side:.2f}" if side is not None else None for side in (told[-1].bid, told[-1].ask))
    return (sides[0], sides[1])
