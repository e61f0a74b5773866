"""Figures of a real ledger, as Prometheus's own parser reads them from the page; names, labels, secrets, and what fails."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from resources.clock import FixedClock
from resources.health.checks import examine
from resources.health.figures import Figures
from resources.health.model import Check, Report
from resources.health.serving import Fitness, serving
from resources.health.sight import Round
from resources.ledger import schema as t
from resources.ledger.dispatch import SqlDispatch
from resources.ledger.engine import open_ledger, transaction
from resources.ledger.state import Leases
from resources.ledger.store import SqlLedger
from tests.resources.health.test_checks import seen, sight
from tests.resources.ledger.dispatching import CLIENT, legs_of, proposed, seals_on
from tests.resources.ledger.entries import DAYS, at, decision, intent
from trading_assets.core.errors import TransientFailure
from trading_assets.execution.model import Book
from trading_assets.execution.ports import SessionClose

DAY = DAYS[1]
NOON = at(DAY) + timedelta(hours=2, minutes=40)
EVERY = timedelta(seconds=60)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_ledger(tmp_path / "ledger" / "desk.sqlite", durability="NORMAL")
    yield engine
    engine.dispose()


def close(day: date, equity: int) -> SessionClose:
    nothing = Decimal(0)
    return SessionClose(day, Book(cash=Decimal(equity), positions={}, orders={}), {}, nothing, nothing, nothing)


def busy(engine: sa.Engine) -> None:
    """Two settled sessions, slots decided, an intent that was sent, one veto, a call, a breaker."""
    ledger = SqlLedger(engine, "desk")
    with ledger.session() as session:
        session.add_settlement(close(DAYS[-2], 100_000), [], [])
        session.add_settlement(close(DAYS[-1], 99_000), [], [])
        session.add_halt("C2 daily loss", as_of=NOON)
        veto = intent(DAY, slot="10:00").verdict.model_copy(update={"ruling": "veto", "quantity": 0})
        session.add_decision(decision(DAY, "10:00"), [(intent(DAY, slot="10:00").plan, veto)], [], [])
    [one] = proposed(engine, "AAA", day=DAY)
    store = SqlDispatch(engine, "desk", client_id=CLIENT)
    sent = at(DAY) + timedelta(seconds=4)
    lease = Leases(engine).acquire("gateway:desk", "test", as_of=sent, ttl=timedelta(days=1))
    assert lease is not None
    with transaction(engine) as connection:
        connection.execute(sa.insert(t.ACKNOWLEDGEMENTS).values(halt_id=1, reason="ok", at=sent.isoformat()))
    store.seal(seals_on(one, at_instant=sent), as_of=sent)
    store.accept(one.id, token=lease.token, as_of=sent)
    store.submit(one.id, legs_of(one), token=lease.token, as_of=sent)
    store.sent(one.id, 400, as_of=sent)
    store.halt("C9 again", as_of=NOON)
    with transaction(engine) as connection:
        breaker = {"route": "openai", "state": "open", "failures": 3, "cooldown_s": 60.0, "reason": "key sk-secret-1"}
        connection.execute(sa.insert(t.BREAKERS).values(**breaker, open_until="", trial_until="", at="x"))


def rounded(**changed: object) -> Round:
    made = sight(seen(), now=NOON, **changed)
    return Round(examine(made), made)


def page(engine: sa.Engine | None, home: Path, last: Round | None) -> str:
    figures = Figures(engine, home, FixedClock(NOON), lambda: last)
    fitness = Fitness(lambda: last.report if last else None, EVERY, FixedClock(NOON))
    with serving(figures, fitness, 0) as port, urllib.request.urlopen(url_of(port), timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        return str(answer.read().decode())


def url_of(port: int) -> str:
    return f"http://127.0.0.1:{port}/metrics"


def read(text: str) -> dict[str, float]:
    return {
        f"{s.name}{json.dumps(s.labels, sort_keys=True) if s.labels else ''}": s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_the_page_tells_money_slots_orders_models_and_health(engine: sa.Engine, tmp_path: Path) -> None:
    busy(engine)
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "a.parquet").write_bytes(b"12345")
    text = page(engine, tmp_path, rounded())
    found = read(text)
    assert found["desk_equity_usd"] == 99_000
    assert found["desk_day_profit_usd"] == -1_000
    assert found["desk_drawdown_ratio"] == pytest.approx(0.01)
    assert found["desk_halts_open"] == 1
    assert found['desk_decisions_total{"state": "ACTIVE"}'] == 2
    assert found['desk_slots{"state": "decided"}'] == 2
    assert found['desk_slots{"state": "missed"}'] > 0
    assert found['desk_vetoes_total{"control": "position_fraction"}'] == 1
    assert found['desk_intents{"state": "submitting"}'] == 1
    assert found['desk_slot_to_order_seconds_bucket{"le": "2.0"}'] == 0
    assert found['desk_slot_to_order_seconds_bucket{"le": "5.0"}'] == 1
    assert found["desk_slot_to_order_seconds_sum"] == pytest.approx(4.0)
    assert found['desk_breaker_open{"route": "openai"}'] == 1
    assert found['desk_health_check_state{"check": "disk"}'] == 0
    assert found['desk_process_resident_memory_bytes{"process": "gateway"}'] == 100_000_000
    assert found["desk_lake_bytes"] == 5
    assert found["desk_ledger_readable"] == 1
    assert "sk-secret" not in text


def test_names_follow_the_rules_and_labels_are_closed_sets(engine: sa.Engine, tmp_path: Path) -> None:
    busy(engine)
    families = list(text_string_to_metric_families(page(engine, tmp_path, rounded())))
    units = ("_usd", "_ratio", "_bytes", "_seconds", "_messages")
    plain = {"desk_halts_open", "desk_positions_open", "desk_orders_open", "desk_process_open_files", "desk_slots"}
    plain |= {
        "desk_intents",
        "desk_breaker_open",
        "desk_health_check_state",
        "desk_machine_cores",
        "desk_ledger_readable",
    }
    for family in families:
        assert re.fullmatch(r"desk_[a-z0-9_]+", family.name)
        assert family.documentation
        assert family.type == "counter" or family.name.endswith(units) or family.name in plain, family.name
    labels = {label for family in families for sample in family.samples for label in sample.labels}
    assert labels <= {"check", "process", "state", "control", "route", "outcome", "side", "consumer", "le"}


def test_an_empty_ledger_and_no_round_are_a_page_all_the_same(engine: sa.Engine, tmp_path: Path) -> None:
    found = read(page(engine, tmp_path, None))
    assert found["desk_ledger_readable"] == 1
    assert "desk_equity_usd" not in found
    assert found["desk_positions_open"] == 0


def test_a_ledger_that_cannot_be_read_is_said_and_the_rest_stays(engine: sa.Engine, tmp_path: Path) -> None:
    with transaction(engine) as connection:
        connection.execute(sa.text("drop table cursors"))
    for ledger in (None, engine):
        found = read(page(ledger, tmp_path, rounded()))
        assert found["desk_ledger_readable"] == 0
        assert found["desk_disk_free_bytes"] > 0
        assert "desk_halts_open" not in found


def fit(report: Report | None, *, later: float = 0.0) -> int:
    return Fitness(lambda: report, EVERY, FixedClock(NOON + timedelta(seconds=later)))()[0]


def test_fitness_is_that_of_the_last_round_and_ends_with_its_age() -> None:
    def report(state: str) -> Report:
        return Report(NOON, NOON, (Check("disk", state, "", "", "s"),))  # type: ignore[arg-type] # a state by name

    assert fit(None) == 503
    assert [fit(report(state)) for state in ("normal", "unknown", "warning", "critical")] == [200, 200, 200, 503]
    assert [fit(report("normal"), later=seconds) for seconds in (180, 181, -1)] == [200, 503, 503]


def test_the_server_is_for_this_machine_and_its_two_pages_alone(engine: sa.Engine, tmp_path: Path) -> None:
    last = rounded()
    well = Report(NOON, NOON, (Check("disk", "normal", "", "", ""),))
    figures, fitness = (
        Figures(engine, tmp_path, FixedClock(NOON), lambda: last),
        Fitness(lambda: well, EVERY, FixedClock(NOON)),
    )
    with serving(figures, fitness, 0) as port:

        def code(path: str, host: str = "127.0.0.1") -> int:
            asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": f"{host}:{port}"})
            try:
                with urllib.request.urlopen(asked, timeout=10) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as refused:
                return refused.code

        assert [code("/healthz"), code("/metrics"), code("/"), code("/../etc/passwd")] == [200, 200, 404, 404]
        assert [code("/metrics", "evil.example"), code("/metrics", "localhost")] == [403, 200]
        with pytest.raises(TransientFailure, match="cannot be served"), serving(figures, lambda: None, port):  # type: ignore[arg-type]
            pass
