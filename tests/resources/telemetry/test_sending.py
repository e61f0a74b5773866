"""The gateway's part of a trace, made by the real gateway over the real client on a loopback, down to the fill."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.core import Gateway
from resources.telemetry import sending
from resources.telemetry.reading import Node, Read, spans_of, trees
from resources.telemetry.sending import TracedDispatch
from resources.telemetry.spans import OFF, SpanFile, Tracer
from tests.gateway.parts import BOOK, setup_of
from tests.gateway.wired import CLIENT_ID, Wired, wired
from trading_assets.execution.journaling import decision_id
from trading_assets.execution.ports import Intent


def traced(desk: Wired, folder: Path) -> Tracer:
    """The same desk with a store that notes."""
    tracer = Tracer(SpanFile(folder, "gateway", 14), "gateway")
    store = TracedDispatch(desk.engine, BOOK, client_id=CLIENT_ID, tracer=tracer)
    setup = setup_of(desk.settings, gate=lambda _accounts, _now: ())
    desk.means = replace(desk.means, store=store)
    desk.gateway = Gateway(setup, desk.means)
    desk.store = store
    return tracer


def spans_for(folder: Path, intent: Intent) -> list[Read]:
    return spans_of(folder, decision_id(BOOK, intent.session, intent.slot))


def names(node: Node) -> Any:
    return {node.span.name: [names(below) for below in node.below]} if node.below else node.span.name


def test_an_intent_is_followed_from_its_seals_to_its_fills(tmp_path: Path) -> None:
    folder, seen = tmp_path / "traces", list[Intent]()

    async def work(desk: Wired) -> None:
        traced(desk, folder)
        await desk.started()
        intent = await desk.held()
        seen.append(intent)

    wired(tmp_path, work)
    found = spans_for(folder, seen[0])
    by_name = {read.name: read for read in found}
    assert {"dispatch", "accept", "submit", "socket", "ack", "fill"} <= set(by_name)
    [tree] = trees(found)
    assert tree.span.name == "dispatch"
    assert {below.span.name for below in tree.below} >= {"accept", "submit", "socket", "ack", "fill"}
    assert by_name["submit"].ended_ns <= by_name["socket"].begun_ns <= by_name["ack"].ended_ns
    assert by_name["fill"].ended_ns >= by_name["ack"].ended_ns
    assert by_name["fill"].attributes["desk.intent"] == seen[0].id
    assert by_name["socket"].attributes["desk.bytes"] > 0  # type: ignore[operator]
    assert not any(read.error for read in found)


def test_a_refused_intent_ends_its_span_with_the_controls_that_refused_it(tmp_path: Path) -> None:
    folder, seen = tmp_path / "traces", list[Intent]()

    async def work(desk: Wired) -> None:
        traced(desk, folder)
        await desk.started()
        desk.store.halt("C1 by a test", as_of=desk.hand.at)
        seen.append(desk.sign())
        await desk.run(4, step=2)

    wired(tmp_path, work)
    ended = [read for read in spans_for(folder, seen[0]) if read.name == "dispatch"]
    assert [read.attributes["desk.outcome"] for read in ended] == ["refused"]
    assert ended[0].attributes["desk.controls"]


def test_with_traces_off_nothing_is_kept_and_orders_go_all_the_same(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        store = TracedDispatch(desk.engine, BOOK, client_id=CLIENT_ID, tracer=OFF)
        desk.means = replace(desk.means, store=store)
        desk.gateway = Gateway(setup_of(desk.settings, gate=lambda _accounts, _now: ()), desk.means)
        await desk.started()
        await desk.held()
        assert desk.wrong() == []

    wired(tmp_path, work)


def test_a_gateway_that_lives_for_weeks_does_not_grow_by_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_REMEMBERED_MAX", 1)

    async def work(desk: Wired) -> None:
        traced(desk, tmp_path / "traces")
        await desk.started()
        await desk.held(symbol="AAPL")
        last = await desk.sent(symbol="MSFT", slot="10:00", entry=Decimal(200), stop=Decimal(190), target=Decimal(220))
        assert isinstance(desk.store, TracedDispatch)
        assert set(desk.store._ways) == {last.id}
        assert set(desk.store._intent_of_leg.values()) == {last.id}

    wired(tmp_path, work)
