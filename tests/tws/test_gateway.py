"""The Gateway of the tests itself: framing, handshake, one client id once, unknown messages, and what it recorded."""

import asyncio
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.resources.market_data.listings import BROKERS
from tests.tws import history
from tests.tws.client import with_client
from tests.tws.gateway import ACCOUNT, Connection, LoopbackGateway, running
from tests.tws.history import History
from tests.tws.wire import SERVER_VERSION, Fields, fields_of, framed, versions_of

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(st.lists(TEXTS, min_size=1, max_size=12))
def test_fields_survive_their_frame(fields: list[str]) -> None:
    raw = framed(fields)
    (length,) = struct.unpack(">I", raw[:4])
    assert length == len(raw) - 4
    assert fields_of(raw[4:]) == fields


def test_booleans_and_numbers_travel_as_text() -> None:
    assert fields_of(framed([True, False, 7, 1.5])[4:]) == ["1", "0", "7", "1.5"]


def test_a_cursor_reads_fields_in_order() -> None:
    fields = Fields(["7", "", "x", "1", "0"])
    assert (fields.number(), fields.number()) == (7, 0)
    fields.skip(1)
    assert (fields.flag(), fields.flag()) == (True, False)


@pytest.mark.parametrize(("offer", "versions"), [(b"v157..178", (157, 178)), (b"v100..176 +PACEAPI", (100, 176))])
def test_the_offer_of_a_client_is_read(offer: bytes, versions: tuple[int, int]) -> None:
    assert versions_of(offer) == versions


def test_an_unmodified_client_connects_and_learns_version_and_account() -> None:
    async def look(client: Any) -> tuple[int, list[str]]:
        return client.client.serverVersion(), client.managedAccounts()

    with running(History(BROKERS).gateway()) as gateway:
        assert with_client(gateway, look) == (SERVER_VERSION, [ACCOUNT])


def test_the_lower_version_wins() -> None:
    async def look(client: Any) -> int:
        return int(client.client.serverVersion())

    with running(LoopbackGateway({}, version=170)) as gateway:
        assert with_client(gateway, look) == 170


def test_a_second_client_with_the_same_id_is_refused_with_its_code() -> None:
    async def again(client: Any) -> list[int]:
        codes: list[int] = []
        other = type(client)()
        other.errorEvent += lambda _request, code, *_: codes.append(code)
        with pytest.raises((TimeoutError, ConnectionError)):
            await other.connectAsync("127.0.0.1", gateway.port, clientId=5, timeout=0.3)
        return codes

    with running(LoopbackGateway({})) as gateway:
        assert 326 in with_client(gateway, again)


def test_a_message_that_nobody_handles_is_error_505() -> None:
    async def ask(client: Any) -> list[int]:
        codes: list[int] = []
        client.errorEvent += lambda _request, code, *_: codes.append(code)
        client.client.reqScannerParameters()
        await asyncio.sleep(0.1)
        return codes

    with running(LoopbackGateway({})) as gateway:
        assert with_client(gateway, ask) == [505]


def test_further_messages_are_added_by_handlers() -> None:
    def current_time(connection: Connection, _: Fields) -> None:
        connection.send(49, 1, 1_000_000_000)

    async def ask(client: Any) -> int:
        return int((await asyncio.wait_for(client.reqCurrentTimeAsync(), 5)).timestamp())

    with running(LoopbackGateway({49: current_time})) as gateway:
        assert with_client(gateway, ask) == 1_000_000_000
        assert len(gateway.asked(49)) == 1


def test_notices_reach_every_client() -> None:
    async def wait(client: Any) -> list[int]:
        codes: list[int] = []
        client.errorEvent += lambda _request, code, *_: codes.append(code)
        gateway.tell(1100, "Connectivity lost")
        gateway.tell(1102, "Connectivity restored")
        await asyncio.sleep(0.1)
        return codes

    with running(LoopbackGateway({})) as gateway:
        assert with_client(gateway, wait)[:2] == [1100, 1102]


def test_the_answer_to_history_has_the_layout_of_a_recorded_one(shared_data: Path) -> None:
    """`17 | request | start | end | count | (date, open, high, low, close, volume, average, trades) × count`."""
    text = (shared_data / "ib_wire" / "rust_ibapi_recorded_messages.txt").read_text()
    recorded = next(line for line in text.splitlines() if re.match(r"17\|9000\|20230413", line)).split("|")[:-1]
    sent: list[Sequence[object]] = []

    class Wire:
        def send(self, *fields: object) -> None:
            sent.append(fields)

    history.rows("20230413", count=int(recorded[4]))(Wire(), "9000")  # type: ignore[arg-type]
    assert len(sent[0]) == len(recorded) == 5 + 8 * int(recorded[4])
    assert str(sent[0][0]) == recorded[0]


def test_everything_ends_with_the_block() -> None:
    with running(LoopbackGateway({})) as gateway:
        port = gateway.port
    assert gateway.loop.is_closed()

    async def knock() -> None:
        await asyncio.open_connection("127.0.0.1", port)

    with pytest.raises(OSError, match=str(port)):
        asyncio.run(knock())
