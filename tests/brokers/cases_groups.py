"""B33 to B44: brackets, and groups whose orders reduce each other."""

from tests.brokers.scene import Cases, Scene, moment, until

case = Cases()


@case("B33")
async def a_bracket_is_acknowledged_in_full_once_its_last_order_is_transmitted(scene: Scene) -> None:
    entry, target, stop = scene.bracket(100, entry="99.00")
    scene.broker.place((entry, target))
    await scene.broker.drain()
    await moment()
    assert not any(report.status == "working" for report in scene.ear.reports(entry.order_id))
    await scene.place(stop)
    for leg in (entry, target, stop):
        await scene.has_status(leg, "working")


@case("B34")
async def the_exits_of_a_bracket_wait_for_its_entry(scene: Scene) -> None:
    legs = scene.bracket(100, entry="99.00")
    await scene.place(*legs)
    await scene.stage.quote("AAPL", "104.50", "104.52")
    await scene.stage.quote("MSFT", "97.00", "97.02")
    await moment()
    assert (await scene.truth()).fills == ()


@case("B35")
async def the_target_ends_the_stop(scene: Scene) -> None:
    _, target, stop = await scene.bought(100)
    await scene.stage.quote("AAPL", "104.00", "104.02")
    await scene.has_status(target, "filled")
    await scene.has_status(stop, "cancelled")
    assert (await scene.truth()).positions == {}


@case("B36")
async def the_stop_ends_the_target(scene: Scene) -> None:
    _, target, stop = await scene.bought(100)
    await scene.stage.quote("AAPL", "97.98", "98.00")
    await scene.has_status(stop, "filled")
    await scene.has_status(target, "cancelled")
    assert (await scene.truth()).positions == {}


@case("B37")
async def exits_never_sell_more_than_the_entry_has_bought(scene: Scene) -> None:
    entry, target, stop = scene.bracket(100, entry="99.00")
    await scene.place(entry, target, stop)
    await scene.stage.quote("AAPL", "98.98", "99.00", ask_size=40)
    await scene.has_filled(entry, 40)
    await scene.stage.quote("AAPL", "97.00", "99.50")
    await scene.has_filled(stop, 40)
    await scene.stage.quote("AAPL", "104.50", "104.52")
    await moment()
    assert (await scene.truth()).positions == {}


@case("B38")
async def cancelling_an_entry_that_has_bought_nothing_ends_its_exits(scene: Scene) -> None:
    entry, target, stop = scene.bracket(100, entry="99.00")
    await scene.place(entry, target, stop)
    scene.broker.cancel(entry.order_id)
    for leg in (entry, target, stop):
        await scene.has_status(leg, "cancelled")
    assert not any(order.lives for order in (await scene.truth()).orders)


@case("B39")
async def cancelling_an_entry_that_has_bought_a_part_leaves_exits_for_that_part(scene: Scene) -> None:
    entry, target, stop = scene.bracket(100, entry="99.00")
    await scene.place(entry, target, stop)
    await scene.stage.quote("AAPL", "98.98", "99.00", ask_size=40)
    await scene.has_filled(entry, 40)
    scene.broker.cancel(entry.order_id)
    await scene.has_status(entry, "cancelled")
    await scene.has_left(stop, 40)
    await scene.stage.quote("AAPL", "97.98", "98.00")
    await scene.has_filled(stop, 40)
    await scene.has_status(target, "cancelled")
    assert (await scene.truth()).positions == {}


@case("B40")
async def an_exit_that_joins_the_group_reduces_stop_and_target_by_what_it_sells(scene: Scene) -> None:
    _, target, stop = await scene.bought(100)
    trim = scene.order("sell", 40, at="99.50", leg="exit", group=stop.oca_group)
    await scene.place(trim)
    await scene.has_filled(trim, 40)
    await scene.has_left(stop, 60)
    await scene.has_left(target, 60)
    await scene.stage.quote("AAPL", "97.00", "97.02")
    await scene.has_filled(stop, 60)
    assert (await scene.truth()).positions == {}


@case("B41")
async def an_exit_of_everything_ends_stop_and_target(scene: Scene) -> None:
    _, target, stop = await scene.bought(100)
    flat = scene.order("sell", 100, "market", leg="flatten", group=stop.oca_group)
    await scene.place(flat)
    await scene.has_filled(flat, 100)
    await scene.has_status(stop, "cancelled")
    await scene.has_status(target, "cancelled")
    assert (await scene.truth()).positions == {}


@case("B42")
async def a_target_that_fills_in_part_leaves_a_stop_for_the_rest(scene: Scene) -> None:
    _, target, stop = await scene.bought(100)
    await scene.stage.quote("AAPL", "104.00", "104.02", bid_size=60)
    await scene.has_filled(target, 60)
    await scene.has_left(stop, 40)
    await scene.stage.quote("AAPL", "97.00", "97.02")
    await scene.has_filled(stop, 40)
    await scene.has_status(target, "cancelled")
    assert (await scene.truth()).positions == {}


@case("B43")
async def another_client_flattens_into_the_group(scene: Scene) -> None:
    _, target, stop = await scene.bought(100)
    watchdog = await scene.another()
    flat = scene.order("sell", 100, "market", leg="flatten", group=stop.oca_group, client_id=12)
    watchdog.broker.place((flat,))
    await watchdog.broker.drain()
    await until(lambda: watchdog.filled(flat.order_id) == 100, "the flatten order fills")
    await scene.has_status(stop, "cancelled")
    await scene.has_status(target, "cancelled")
    assert (await scene.truth()).positions == {}
    await watchdog.broker.close()


@case("B44")
async def a_refused_bracket_leaves_nothing_that_could_trade(scene: Scene) -> None:
    await scene.stage.reject_next()
    legs = scene.bracket(100)
    scene.broker.place(legs)
    await scene.broker.drain()
    await until(lambda: any(scene.ear.was_refused(leg.order_id) for leg in legs), "the bracket is refused")
    await moment()
    await scene.stage.quote("AAPL", "97.00", "97.02")
    await moment()
    assert (await scene.truth()).fills == ()
    assert not await scene.lives(legs[0])
