"""The gateway over the real client: what the connection does to orders, and what the desk knows of it afterwards.

The observer reads the broker's own book (`Wired.wrong`): never two entries for one intent, no fill unbooked, cash to the cent.
"""

from datetime import UTC, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.linker import skew
from tests.gateway.parts import OPEN
from tests.gateway.wired import Wired, wired
from tests.tws.book import Instrument
from tests.tws.faults import (
    CutAfter,
    CutBefore,
    HalfOpen,
    Late,
    LinkLost,
    PacingLimit,
    ResetAfter,
    Vanish,
    Withhold,
)
from tests.tws.gateway import START_API
from tests.tws.market import COMPETING
from tests.tws.messages import POSITION_END
from trading_assets.broker.ports import BrokerDown, ClientIdInUse
from trading_assets.broker.settings import Rhythm


def test_a_signed_entry_is_filled_and_booked_over_the_wire(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        intent = await desk.held()
        await desk.run(12, step=3)
        assert desk.wrong() == []
        assert desk.tws.truth().positions == {"AAPL": 40}
        assert desk.state(intent) == "FILLED"

    wired(tmp_path, work)


@pytest.mark.fault(30)
def test_a_broker_that_is_not_there_at_the_start_is_named_and_waited_for(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        desk.release()
        desk.tws.away()
        with pytest.raises(BrokerDown, match=f"127.0.0.1:{desk.tws.port}") as told:
            await desk.gateway.start()
        assert "mode paper" in str(told.value)
        intent = desk.sign()
        await desk.run(3)
        assert desk.state(intent) == "SIGNED"
        desk.tws.back()
        await desk.run(6)
        assert desk.gateway.view.link == "up"
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(31)
def test_a_link_that_is_gone_before_the_sending_sends_nothing_late(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.tws.away()
        intent = desk.sign()
        await desk.run(66, step=6)
        assert desk.state(intent) == "EXPIRED"
        desk.tws.back()
        await desk.run(60, step=6)
        assert desk.gateway.view.link == "up"
        assert desk.tws.truth().orders == ()
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(31)
@pytest.mark.fault(32)
def test_an_order_that_the_cut_swallowed_is_abandoned_after_proof_and_never_sent_again(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.fault_at("submitted", CutBefore())
        intent = desk.sign()
        await desk.gateway.dispatch()
        await desk.cut()
        await desk.run(9, step=3)
        assert desk.state(intent) == "UNKNOWN"
        await desk.until(lambda: desk.state(intent) == "ABANDONED", step=5)
        assert desk.tws.truth().orders == ()
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(5)
@pytest.mark.fault(32)
@pytest.mark.parametrize("number", [1, 2])
def test_an_entry_whose_stop_never_arrived_is_cancelled_and_never_worked(tmp_path: Path, number: int) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.fault_at("submitted", CutAfter(number=number))
        intent = desk.sign()
        await desk.gateway.dispatch()
        await desk.cut()
        await desk.until(lambda: desk.state(intent) == "CANCELLED", step=3)
        assert [o.status for o in desk.orders(intent)] == ["Cancelled"] * number
        assert desk.tws.truth().fills == ()
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(6)
@pytest.mark.fault(32)
@pytest.mark.parametrize("answered", [False, True])
def test_an_order_whose_answer_was_cut_off_is_found_by_its_reference(tmp_path: Path, *, answered: bool) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.shows = 0
        desk.quote()
        desk.fault_at("submitted", CutAfter(number=3, answered=answered))
        intent = desk.sign()
        await desk.gateway.dispatch()
        await desk.cut()
        await desk.until(lambda: desk.state(intent) == "WORKING")
        assert len(desk.orders(intent)) == 3
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(32)
@pytest.mark.parametrize("sent", [40, 300, 700])
def test_a_reset_in_the_middle_of_a_bracket_leaves_all_of_it_or_nothing_that_trades(tmp_path: Path, sent: int) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.fault_at("submitted", ResetAfter(heard=sent))
        intent = desk.sign()
        await desk.gateway.dispatch()
        await desk.cut()
        await desk.until(lambda: desk.state(intent) in {"CANCELLED", "ABANDONED", "FILLED"}, step=5)
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(8)
@pytest.mark.fault(33)
def test_what_filled_while_the_link_was_down_is_booked_though_no_event_told_it(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        intent = await desk.resting()
        desk.tws.away()
        await desk.run(3)
        desk.tws.fill(desk.entry(intent), 40, "100.03")
        desk.tws.back()
        await desk.until(lambda: desk.state(intent) == "FILLED")
        await desk.run(6, step=3)
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(33)
def test_a_stop_that_sold_while_the_link_was_down_leaves_no_position_and_no_order(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        intent = await desk.held()
        desk.tws.away()
        await desk.run(2)
        desk.tws.fill(desk.child(intent, "STP"), 40, "97.90")
        desk.tws.back()
        await desk.run(8)
        assert desk.tws.truth().positions == {}
        assert not desk.tws.book.working
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(34)
@pytest.mark.parametrize("data_kept", [True, False])
def test_a_broken_line_behind_the_broker_reduces_until_a_complete_look(tmp_path: Path, *, data_kept: bool) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        lost = LinkLost(desk.tws)
        lost.begin()
        await desk.run(1)
        assert desk.gateway.state.state == "REDUCING"
        intent = desk.sign()
        await desk.run(2)
        assert desk.state(intent) == "SIGNED"
        lost.end(data_kept=data_kept)
        await desk.until(lambda: desk.gateway.state.state == "ACTIVE")
        assert set(desk.tws.market.watched()) == {"AAPL", "MSFT"}
        await desk.until(lambda: desk.state(intent) == "FILLED")
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(35)
@pytest.mark.parametrize("data_kept", [True, False])
def test_fills_while_the_line_behind_the_broker_was_broken_are_booked(tmp_path: Path, *, data_kept: bool) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        intent = await desk.resting()
        lost = LinkLost(desk.tws)
        lost.begin()
        await desk.run(1)
        desk.tws.fill(desk.entry(intent), 40, "100.02")
        await desk.run(6)
        lost.end(data_kept=data_kept)
        await desk.until(lambda: desk.state(intent) == "FILLED")
        await desk.run(6, step=3)
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(36)
def test_a_socket_that_says_nothing_any_more_is_closed_and_opened_anew(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        intent = await desk.resting()
        desk.tws.with_faults(HalfOpen())
        await desk.run(31, step=15.5)
        assert desk.gateway.view.link != "up"
        desk.tws.fill(desk.entry(intent), 40, "100.02")
        desk.tws.without_faults()
        await desk.until(lambda: desk.state(intent) == "FILLED")
        assert desk.tws.connections == 2
        await desk.run(6, step=3)
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(37)
@pytest.mark.control("C34")
@pytest.mark.parametrize("withheld", [POSITION_END, 53, 55, 102, 74])
def test_an_answer_without_its_end_is_no_empty_account(tmp_path: Path, withheld: int) -> None:
    async def work(desk: Wired) -> None:
        desk.release()
        desk.quote()
        desk.tws.hold("AAPL", 7, "99.00")
        desk.tws.with_faults(Withhold(withheld))
        await desk.gateway.start()
        intent = desk.sign()
        await desk.run(1)
        assert desk.gateway.view.link == "reconciling"
        assert desk.gateway.state.state != "ACTIVE"
        assert desk.state(intent) == "SIGNED"
        desk.tws.without_faults()
        await desk.until(lambda: desk.gateway.view.link == "up", step=5)
        assert desk.store.known().position("AAPL") == 7

    wired(tmp_path, work)


@pytest.mark.fault(4)
@pytest.mark.fault(38)
def test_an_order_that_vanished_is_abandoned_after_proof_and_never_sent_again(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.fault_at("submitted", Vanish(times=3))
        intent = desk.sign()
        await desk.gateway.dispatch()
        await desk.run(12, step=3)
        assert desk.state(intent) == "UNKNOWN"
        await desk.run(15, step=3)
        assert desk.state(intent) == "UNKNOWN"
        await desk.until(lambda: desk.state(intent) == "ABANDONED", step=5)
        await desk.run(20, step=5)
        assert desk.tws.truth().orders == ()
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(39)
@pytest.mark.parametrize("shows", [0, 5_000])
def test_an_abandoned_order_that_arrives_after_all_is_cancelled_covered_and_halts(tmp_path: Path, shows: int) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        late = Late()
        desk.fault_at("submitted", late)
        intent = desk.sign()
        await desk.gateway.dispatch()
        await desk.until(lambda: desk.state(intent) == "ABANDONED", step=5)
        desk.tws.without_faults()
        desk.shows = shows
        desk.quote()
        late.release(desk.tws)
        await desk.run(12, step=2)
        assert any("zombie" in cause for cause in desk.halts())
        assert desk.state(intent) == "ABANDONED"
        assert desk.tws.truth().positions == ({"AAPL": 40} if shows else {})
        assert desk.entry(intent).ended
        assert desk.wrong(halts=True) == []

    wired(tmp_path, work)


@pytest.mark.fault(40)
@pytest.mark.fault(45)
def test_a_restart_of_the_broker_that_rolls_its_ids_back_keeps_stops_and_gives_no_id_twice(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        intent = await desk.held()
        used = {order.order_id for order in desk.orders(intent)}
        desk.tws.restart(next_ids={11: 1})
        await desk.run(3)
        assert desk.gateway.view.link == "up"
        assert desk.covered() == 40
        await desk.run(60, step=5)
        other = await desk.sent(symbol="MSFT", slot="10:00")
        await desk.run(2)
        assert desk.state(other) == "FILLED"
        assert min(order.order_id for order in desk.orders(other)) > max(used)
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(41)
def test_a_client_id_that_is_in_use_refuses_the_start_and_is_never_changed(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        desk.release()
        desk.tws.refusing = True
        with pytest.raises(ClientIdInUse):
            await desk.gateway.start()
        assert not desk.means.broker.is_connected
        assert {fields[1] for fields in desk.tws.asked(START_API)} == {"11"}

    wired(tmp_path, work)


@pytest.mark.fault(41)
def test_a_client_id_that_somebody_took_while_the_link_was_down_ends_the_gateway(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.tws.refusing = True
        desk.tws.drop()
        with pytest.raises(ClientIdInUse):
            await desk.run(10)
        assert not desk.means.broker.is_connected

    wired(tmp_path, work)


@pytest.mark.fault(42)
def test_orders_that_the_broker_refused_for_their_number_are_told_and_not_sent_again(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.fault_at("submitted", PacingLimit(0))
        intent = desk.sign()
        await desk.gateway.dispatch()
        await desk.run(1)
        desk.tws.without_faults()
        await desk.until(lambda: desk.state(intent) == "ABANDONED", step=5)
        assert "pacing" in desk.told.codes
        assert desk.tws.truth().orders == ()
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(43)
@pytest.mark.fault(45)
def test_the_nightly_restart_pages_nobody_and_leaves_the_stop_where_it_is(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        await desk.held()
        night = desk.hand.at.replace(hour=23, minute=45)
        desk.pass_time((night - desk.hand.at).total_seconds())
        desk.tws.away()
        await desk.run(30, step=10)
        assert desk.gateway.state.state == "REDUCING"
        desk.tws.back()
        await desk.until(lambda: desk.gateway.view.link == "up", step=10)
        assert "link" not in desk.told.codes
        assert desk.wrong() == []

    wired(tmp_path, work, rhythm=Rhythm(lease_seconds=3600.0))


@pytest.mark.fault(44)
def test_a_competing_login_that_takes_the_data_away_halts(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.tws.do(lambda: desk.tws.market.end_all(*COMPETING))
        await desk.run(2)
        assert any("10197" in cause for cause in desk.halts())
        intent = desk.sign()
        await desk.run(2)
        assert desk.state(intent) == "VETOED"
        assert desk.wrong(halts=True) == []

    wired(tmp_path, work)


@pytest.mark.fault(48)
@pytest.mark.parametrize("account", ["U7654321", "DU7654321"])
def test_another_account_at_a_reconnect_halts_and_is_not_traded(tmp_path: Path, account: str) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.tws.accounts = (account,)
        desk.tws.restart()
        intent = desk.sign()
        await desk.run(5)
        assert [cause for cause in desk.halts() if not (cause.startswith("C29") and account in cause)] == []
        assert desk.halts()
        assert not desk.means.broker.is_connected
        await desk.run(60, step=10)
        assert desk.state(intent) == "EXPIRED"
        assert desk.tws.truth().orders == ()

    wired(tmp_path, work)


@pytest.mark.fault(77)
def test_delayed_data_is_no_basis_for_an_entry_until_it_is_live_again(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.tws.do(lambda: desk.tws.market.change_kind(3))
        await desk.run(2)
        intent = desk.sign()
        await desk.run(1)
        assert desk.state(intent) == "VETOED"
        desk.tws.do(lambda: desk.tws.market.change_kind(1))
        await desk.run(3)
        other = await desk.sent(slot="10:00")
        assert desk.state(other) == "FILLED"
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(82)
def test_a_symbol_that_stands_for_another_contract_than_yesterday_is_not_entered(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.tws.listings["AAPL"] = (Instrument("AAPL", 9_999_999),)
        desk.tws.restart()
        await desk.run(4)
        assert "contract" in desk.told.codes
        intent = desk.sign()
        await desk.run(2)
        assert desk.state(intent) == "VETOED"
        assert desk.tws.truth().orders == ()

    wired(tmp_path, work)


@pytest.mark.fault(87)
@pytest.mark.control("C25")
@pytest.mark.parametrize("seconds", [-2, 2])
def test_a_clock_that_is_not_the_brokers_lets_nothing_in(tmp_path: Path, seconds: int) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.tws.account.skew_seconds = seconds
        await desk.run(32, step=4)
        intent = desk.sign()
        await desk.run(1)
        assert desk.state(intent) == "VETOED"
        assert "clock skew" in desk.why(intent)
        assert desk.tws.truth().orders == ()

    wired(tmp_path, work)


@given(fraction=st.floats(0, 0.999), wrong=st.floats(-30, 30), out=st.floats(0, 3), back=st.floats(0, 3))
@settings(max_examples=25)
def test_a_told_second_never_makes_a_clock_look_worse_than_it_is(
    fraction: float, wrong: float, out: float, back: float
) -> None:
    asked = OPEN.astimezone(UTC) + timedelta(seconds=fraction)
    shown = asked + timedelta(seconds=out + wrong)
    found = skew(shown.replace(microsecond=0), asked, asked + timedelta(seconds=out + back)).total_seconds()
    least = timedelta(microseconds=2).total_seconds()
    assert found == 0 or (found > 0) == (wrong > 0)
    assert abs(found) <= abs(wrong) + least
    assert abs(found) >= abs(wrong) - 1 - out - back - least
