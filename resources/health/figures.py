"""Figures for Prometheus, read from the ledger when they are asked for.

Names follow the naming rules (https://prometheus.io/docs/practices/naming): a unit at the end, base units, `_total` for counters.
Counters count within the session: they begin anew with the next one, as those of a process that was started again. Labels come
from closed sets (states, routes, controls, processes, consumers), never from symbols, plans or people.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from resources.health.model import STATES
from resources.health.sight import BOOK, Round, Sight
from resources.ledger import schema as t
from resources.ledger.dispatch_counting import read_equity
from resources.ledger.dispatch_reading import read_snapshot
from resources.ledger.dispatch_states import open_halts
from resources.ledger.engine import reading
from resources.ledger.text import instant_of
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import DeskError
from trading_assets.core.ports import Clock
from trading_assets.core.slots import is_between, slots_of

BUCKETS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
_LAKE_EVERY_S = 300.0
# Verdicts have no index by session; a session's are among the newest.
_VERDICTS_READ = 4_000
_LOG = logging.getLogger("desk.health")
_SETTLED, _DECIDED, _CALLS = t.CLOSES.c, t.DECISIONS.c, t.MODEL_CALLS.c


class Figures(Collector):
    """All of the desk's figures.

    Args:
        newest: The last round of checks; None before the first.
    """

    def __init__(self, engine: sa.Engine | None, home: Path, clock: Clock, newest: Callable[[], Round | None]) -> None:
        self._engine = engine
        self._home = home
        self._clock = clock
        self._newest = newest
        self._lake: tuple[float, int] = (float("-inf"), 0)

    def collect(self) -> Iterable[Metric]:
        """See the base. A ledger that cannot be read leaves out what stands in it, and says so."""
        begun, readable = time.perf_counter(), 0.0
        found: list[Metric] = []
        if self._engine is not None:
            try:
                with reading(self._engine) as connection:
                    found = list(of_ledger(connection, self._clock.now(), self._newest()))
                readable = 1.0
            except (DeskError, sa.exc.SQLAlchemyError) as refused:
                _LOG.warning("the ledger's figures cannot be read: %s", refused)
                found = []
        yield from found
        yield from of_round(self._newest())
        yield _gauge("desk_lake_bytes", "Files of the lake, counted every five minutes.", self._lake_bytes())
        yield _gauge("desk_ledger_readable", "1 where the ledger could be read for this answer.", readable)
        yield _gauge("desk_scrape_seconds", "What this answer took.", time.perf_counter() - begun)

    def _lake_bytes(self) -> float:
        at, counted = self._lake
        now = time.monotonic()
        if now - at >= _LAKE_EVERY_S:
            counted = sum(path.stat().st_size for path in (self._home / "lake").rglob("*.parquet") if path.is_file())
            self._lake = (now, counted)
        return float(counted)


def of_round(last: Round | None) -> Iterator[Metric]:
    """Checks, machine, processes and files, as the last round saw them."""
    if last is None:
        return
    checks = GaugeMetricFamily(
        "desk_health_check_state", "0 normal, 1 unknown, 2 warning, 3 critical.", labels=["check"]
    )
    for check in last.report.checks:
        checks.add_metric([check.name], STATES.index(check.state))
    yield checks
    at = last.report.machine.timestamp()
    yield _gauge("desk_health_checked_timestamp_seconds", "When the last round of checks was made.", at)
    sight = last.sight
    if sight is None:
        return
    yield _gauge("desk_machine_memory_used_ratio", "Of what this process may use.", sight.machine.memory_used_fraction)
    yield _gauge("desk_machine_cores", "Cores that this process may use.", sight.machine.cores)
    yield _gauge("desk_disk_free_bytes", "Where the desk's home is.", sight.disk_free_bytes)
    yield _gauge("desk_ledger_bytes", "The ledger's file.", sight.ledger_bytes)
    yield _gauge("desk_ledger_log_bytes", "The ledger's write-ahead log.", sight.wal_bytes)
    yield from _of_processes(sight)


def _of_processes(sight: Sight) -> Iterator[Metric]:
    label = ["process"]
    resident = GaugeMetricFamily("desk_process_resident_memory_bytes", "Memory of a process.", labels=label)
    spent = CounterMetricFamily("desk_process_cpu_seconds", "Processor time of a process.", labels=label)
    files = GaugeMetricFamily("desk_process_open_files", "Open files of a process.", labels=label)
    ages = GaugeMetricFamily("desk_heartbeat_age_seconds", "Since the last sign of life, desk clock.", labels=label)
    for name, beat in (sight.ledger.beats if sight.ledger else {}).items():
        ages.add_metric([name], beat.age.total_seconds())
        seen = sight.alive.get(beat.pid)
        if seen is not None:
            resident.add_metric([name], seen.resident_bytes)
            spent.add_metric([name], seen.cpu_seconds)
            files.add_metric([name], seen.open_files)
    yield from (resident, spent, files, ages)


def of_ledger(connection: sa.Connection, now: datetime, last: Round | None) -> Iterator[Metric]:
    """Money, slots, decisions, orders, models and the bus, in one snapshot."""
    day = now.astimezone(NEW_YORK).date()
    yield from _of_money(connection, day)
    yield _gauge("desk_halts_open", "Halts that nobody answered.", len(open_halts(connection, BOOK)))
    yield from _of_slots(connection, day, now, last)
    yield from _of_vetoes(connection, day)
    yield from _of_orders(connection, day)
    yield from _of_models(connection, day)
    yield from _of_bus(connection)


def _of_money(connection: sa.Connection, day: date) -> Iterator[Metric]:
    """From the broker's last word where there is one, else from the books; what nobody told is left out."""
    told = read_snapshot(connection, BOOK)
    if told is not None:
        equity, cash = told.equity, told.cash
        standing = read_equity(connection, BOOK, day)
        before, peak = standing.day_open, standing.peak
    else:
        columns = sa.select(_SETTLED.equity, _SETTLED.cash).where(_SETTLED.book == BOOK)
        newest = connection.execute(columns.order_by(_SETTLED.session.desc()).limit(2)).all()
        equity, cash = (newest[0].equity, newest[0].cash) if newest else (None, None)
        before = newest[1].equity if len(newest) > 1 else None
        peak = connection.execute(sa.select(sa.func.max(_SETTLED.equity)).where(_SETTLED.book == BOOK)).scalar()
    yield from _known("desk_equity_usd", "Cash and positions.", equity)
    yield from _known("desk_cash_usd", "Cash.", cash)
    if equity is not None and before is not None:
        yield _gauge("desk_day_profit_usd", "Since the session's first balance.", float(equity - before))
    if equity is not None and peak:
        lost = max(Decimal(0), Decimal(peak) - equity) / Decimal(peak)
        yield _gauge("desk_drawdown_ratio", "Below the highest equity since the last answered halt.", float(lost))
    yield from _of_positions(connection)


def _of_positions(connection: sa.Connection) -> Iterator[Metric]:
    exposure = GaugeMetricFamily("desk_exposure_usd", "Value of positions at their last marks.", labels=["side"])
    column = t.POSITIONS.c
    rows = connection.execute(sa.select(column.quantity, column.price).where(column.book == BOOK)).all()
    held = [row for row in rows if row.quantity]
    for side, sign in (("long", 1), ("short", -1)):
        value = sum((row.quantity * row.price * sign for row in held if row.quantity * sign > 0), Decimal(0))
        exposure.add_metric([side], float(value))
    yield exposure
    yield _gauge("desk_positions_open", "Symbols that are held.", len(held))


def _of_slots(connection: sa.Connection, day: date, now: datetime, last: Round | None) -> Iterator[Metric]:
    query = sa.select(_DECIDED.slot, _DECIDED.state, _DECIDED.plans, _DECIDED.vetoes)
    rows = connection.execute(query.where(_DECIDED.book == BOOK, _DECIDED.session == day)).all()
    by_state = Counter(row.state for row in rows)
    made = CounterMetricFamily("desk_decisions", "Decisions of the session, by trading state.", labels=["state"])
    for state, count in sorted(by_state.items()):
        made.add_metric([state], count)
    yield made
    yield _counter("desk_plans", "Plans of the session.", sum(row.plans for row in rows))
    yield _counter("desk_plans_refused", "Plans of the session that were refused.", sum(row.vetoes for row in rows))
    between = sum(is_between(row.slot) for row in rows)
    yield _counter("desk_looks", "Decisions of the session that an event caused.", between)
    session = XNYS.today(now)
    if last is None or last.sight is None or session is None:
        return
    decisions, decided = last.sight.settings.decisions, {row.slot for row in rows}
    every = slots_of(session, decisions.slots)
    due = [slot for slot in every if slot.at <= now]
    missed = [slot for slot in due if slot.at + decisions.grace <= now and slot.label not in decided]
    slots = GaugeMetricFamily("desk_slots", "Slots of the session.", labels=["state"])
    counts = {"planned": len(every), "due": len(due), "missed": len(missed)}
    counts["decided"] = sum(slot.label in decided for slot in every)
    for state, count in sorted(counts.items()):
        slots.add_metric([state], count)
    yield slots


def _of_vetoes(connection: sa.Connection, day: date) -> Iterator[Metric]:
    column = t.SIGNATURES.c
    newest = sa.select(sa.func.coalesce(sa.func.max(column.seq), 0)).scalar_subquery()
    query = sa.select(column.verdict).where(
        column.seq > newest - _VERDICTS_READ, column.book == BOOK, column.session == day, column.ruling == "veto"
    )
    controls = Counter(control for row in connection.execute(query) for control in _controls(row.verdict))
    vetoes = CounterMetricFamily("desk_vetoes", "Breaches that refused plans in the session.", labels=["control"])
    for control, count in sorted(controls.items()):
        vetoes.add_metric([control], count)
    yield vetoes


def _controls(verdict: str) -> list[str]:
    """The ids of the controls; what a strange verdict says is no label."""
    try:
        return [str(breach["control"]) for breach in json.loads(verdict)["breaches"]]
    except (ValueError, KeyError, TypeError):
        return ["unreadable"]


def _of_orders(connection: sa.Connection, day: date) -> Iterator[Metric]:
    states = t.INTENT_STATES.c
    query = (
        sa.select(states.state, states.sent_at, _DECIDED.as_of, states.opens)
        .join(t.INTENTS, t.INTENTS.c.id == states.intent_id)
        .outerjoin(
            t.DECISIONS,
            (_DECIDED.book == t.INTENTS.c.book)
            & (_DECIDED.session == t.INTENTS.c.session)
            & (_DECIDED.slot == t.INTENTS.c.slot),
        )
        .where(t.INTENTS.c.book == BOOK, t.INTENTS.c.session == day)
    )
    rows = connection.execute(query).all()
    intents = GaugeMetricFamily("desk_intents", "Intents of the session by state.", labels=["state"])
    for state, count in sorted(Counter(row.state for row in rows).items()):
        intents.add_metric([state.lower()], count)
    yield intents
    legs = GaugeMetricFamily(
        "desk_orders_open", "Orders at the broker that have not ended, by state.", labels=["state"]
    )
    column, ended = t.LEGS.c, ("filled", "cancelled", "rejected", "absent", "planned")
    open_legs = sa.select(column.state, sa.func.count()).where(column.book == BOOK, column.state.not_in(ended))
    for row in connection.execute(open_legs.group_by(column.state).order_by(column.state)):
        legs.add_metric([str(row[0])], int(row[1]))
    yield legs
    took = [(instant_of(r.sent_at) - instant_of(r.as_of)).total_seconds() for r in rows if r.sent_at and r.as_of]
    yield _histogram("desk_slot_to_order_seconds", "From the slot to the socket, desk clock, of the session.", took)


def _of_models(connection: sa.Connection, day: date) -> Iterator[Metric]:
    query = sa.select(
        _CALLS.route, _CALLS.outcome, sa.func.count().label("calls"), sa.func.sum(_CALLS.cost).label("cost")
    ).where(_CALLS.day == day)
    rows = connection.execute(query.group_by(_CALLS.route, _CALLS.outcome).order_by(_CALLS.route, _CALLS.outcome)).all()
    calls = CounterMetricFamily("desk_model_calls", "Calls of the day.", labels=["route", "outcome"])
    cost = CounterMetricFamily("desk_model_cost_usd", "What the day's calls cost.", labels=["route"])
    spent: dict[str, float] = {}
    for row in rows:
        calls.add_metric([row.route, row.outcome], row.calls)
        spent[row.route] = spent.get(row.route, 0.0) + float(row.cost or 0)
    for route, usd in sorted(spent.items()):
        cost.add_metric([route], usd)
    yield from (calls, cost)
    column = t.BREAKERS.c
    breakers = GaugeMetricFamily("desk_breaker_open", "1 where a route to a model is passed over.", labels=["route"])
    for row in connection.execute(sa.select(column.route, column.state).order_by(column.route)):
        breakers.add_metric([row.route], float(row.state != "closed"))
    yield breakers


def _of_bus(connection: sa.Connection) -> Iterator[Metric]:
    newest = connection.execute(sa.select(sa.func.max(t.MESSAGES.c.id))).scalar() or 0
    lag = GaugeMetricFamily("desk_bus_lag_messages", "Messages that a consumer has not passed.", labels=["consumer"])
    for row in connection.execute(sa.select(t.CURSORS).order_by(t.CURSORS.c.consumer)):
        lag.add_metric([row.consumer], max(0, newest - row.position))
    yield lag


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=float(value))


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(name, words, value=float(value))


def _known(name: str, words: str, value: Any) -> Iterator[Metric]:
    if value is not None:
        yield _gauge(name, words, float(value))


def _histogram(name: str, words: str, values: list[float]) -> Metric:
    counts: Mapping[float, int] = {bound: sum(value <= bound for value in values) for bound in BUCKETS_S}
    buckets = [(str(bound), float(count)) for bound, count in counts.items()]
    return HistogramMetricFamily(name, words, buckets=[*buckets, ("+Inf", float(len(values)))], sum_value=sum(values))
