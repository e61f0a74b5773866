"""The decision cycle on real bars: it sees no future, obeys its gates, its freshness and the state of the book."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.ledger.store import SqlLedger
from tests.execution.world import (
    YEAR,
    Frames,
    at_open,
    backtest,
    by_rules,
    days,
    market,
    new_ledger,
    rules,
    slot_of,
    window,
    world_of,
)
from trading_assets.briefs.facts import FACT_TABLES, FactBook
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, DuplicateDecision, GateClosed
from trading_assets.core.ports import GateRecord
from trading_assets.execution.cycle import SlotResult, decide_slot, settle_session, walk_session
from trading_assets.execution.looking import World
from trading_assets.execution.model import Book, Position
from trading_assets.execution.ports import LedgerSession, SessionClose
from trading_assets.execution.rules import Rules
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.plans.model import TradePlan
from trading_assets.regimes.model import LIQUIDITY_REGIMES, MARKET, REGIME_LABELS
from trading_assets.signatures.gates import FactGate
from trading_assets.signatures.model import Verdict
from trading_assets.theses.model import Mind

DAY = date(2012, 6, 18)
BEFORE = date(2012, 6, 15)
HELD_DAY = date(2012, 4, 19)
Altered = Callable[[Frames, datetime, Random], Frames]


def _decide(ledger: SqlLedger, world: World, day: date = DAY, *, by: Rules | None = None) -> SlotResult:
    with ledger.session() as transaction:
        return decide_slot(slot_of(day), world, by or rules(), transaction)


@cache
def _true_world(day: date) -> World:
    return world_of(window(market().frames, day))


# --- no look-ahead -------------------------------------------------------------------------------------------------


_SHARES = {"probability", "volatility_percentile"}


def _dropped(frames: Frames, as_of: datetime, _dice: Random) -> Frames:
    return {name: frame.filter(pl.col("knowable_at") <= as_of) for name, frame in frames.items()}


def scrambled(frames: Frames, as_of: datetime, dice: Random) -> Frames:
    """Every later value replaced: numbers from other rows and many times as large, every view bearish, splits everywhere."""
    return {name: _blurred(name, frame, as_of, dice) for name, frame in frames.items()}


def _blurred(name: str, frame: pl.DataFrame, as_of: datetime, dice: Random) -> pl.DataFrame:
    later = pl.col("knowable_at") > as_of
    columns = []
    for column, kind in frame.schema.items():
        if kind == pl.Float64:
            factor = 1.0 if name == BREADTH.name or column in _SHARES else dice.uniform(0.1, 9.0)
            other = pl.col(column).shuffle(seed=dice.randrange(10_000)) * factor
            columns.append(pl.when(later).then(other).otherwise(pl.col(column)).alias(column))
        elif column == "strategy_view":
            columns.append(pl.when(later).then(pl.lit("trending_bear")).otherwise(pl.col(column)).alias(column))
        elif name == CORPORATE_ACTIONS.name and column == "kind":
            columns.append(pl.when(later).then(pl.lit("split")).otherwise(pl.col(column)).alias(column))
    return frame.with_columns(columns)


def _nudged(frames: Frames, as_of: datetime, _dice: Random) -> Frames:
    """The smallest lie: later closes a cent higher."""
    bars = frames[DAILY_BARS.name]
    cent = pl.when(pl.col("knowable_at") > as_of).then(0.01).otherwise(0.0)
    return {**frames, DAILY_BARS.name: bars.with_columns(pl.col("close") + cent)}


@pytest.mark.parametrize("alter", [_dropped, scrambled, _nudged], ids=["dropped", "scrambled", "a cent"])
@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(day=st.sampled_from(days(YEAR)[1:]), seed=st.integers(0, 1_000))
def test_altering_the_future_changes_no_byte_of_a_slot(alter: Altered, tmp_path: Path, day: date, seed: int) -> None:
    frames = window(market().frames, day)
    altered = world_of(alter(frames, slot_of(day).at, Random(seed)))
    truth = _decide(at_open(tmp_path / "truth", day), _true_world(day), day)
    blind = _decide(at_open(tmp_path / "blind", day), altered, day)
    assert repr(blind).encode() == repr(truth).encode()


def test_altering_the_past_does_change_what_is_decided(tmp_path: Path) -> None:
    """Else the tests of the future would prove nothing."""
    changed = []
    for day in days(YEAR)[5:65:5]:
        frames = window(market().frames, day)
        altered = world_of(scrambled(frames, slot_of(days(YEAR)[0]).at, Random(1)))
        truth = _decide(at_open(tmp_path / "truth", day), _true_world(day), day)
        changed.append(_decide(at_open(tmp_path / "other", day), altered, day) != truth)
    assert all(changed)


def test_a_slot_decided_alone_is_what_the_backtest_decided(tmp_path: Path) -> None:
    for day in days(YEAR)[1::25]:
        result = _decide(at_open(tmp_path, day), _true_world(day), day)
        with backtest().ledger.session() as ledger:
            assert result.decision == next(d for d in ledger.decisions(day, day) if d.slot == "09:30")
            assert list(result.orders) == [order for order, _ in ledger.orders_placed(day, day)]


# --- a hand-made world ---------------------------------------------------------------------------------------------


EASY = {
    "regime": "normal",
    "basis": "daily_bars",
    "evidence": "made",
    "spread_ratio": 1.0,
    "depth_ratio": None,
    "amihud_ratio": 1.0,
}
WIDE = {
    "symbols": 5,
    "advances": 5,
    "declines": 0,
    "new_highs_252": 1,
    "new_lows_252": 0,
    "above_sma_50_share": 0.8,
    "above_sma_200_share": 0.8,
}


def _breakouts(symbols: Sequence[str], day: date = DAY, *, view: str = "trending_bull") -> Frames:
    """Facts of the two sessions before a day in which every symbol breaks out: close 100, ATR 2, 1.2 times the volume."""
    sessions = [XNYS.previous(day, 2), XNYS.previous(day)]
    tables = (DAILY_BARS, INDICATORS, REGIME_LABELS, BREADTH, LIQUIDITY_REGIMES)
    rows: dict[str, list[dict[str, Any]]] = {table.name: [] for table in tables}
    numbers = {"atr_14": 2.0, "volume_mean_20": 1e6, "sma_50": 90.0, "sma_200": 80.0, "high_20": 99.0, "close": 100.0}
    prices = {"open": 99.0, "high": 101.0, "low": 98.0, "close": 100.0, "volume": 1.3e6}
    label = {"regime": "trending_up", "strategy_view": view, "probability": 1.0, "since": sessions[0].day}
    evidence = {"volatility_percentile": 0.5, "trend_strength": 2.0, "adx_14": 30.0}
    for session in sessions:
        seen = {"session": session.day, "knowable_at": session.close}
        for symbol in symbols:
            common = {"symbol": symbol, **seen}
            empty = {c.name: None for c in INDICATORS.columns if c.nullable}
            rows[DAILY_BARS.name].append({**common, **prices, "start": session.open, "source": "made"})
            rows[INDICATORS.name].append({**common, **empty, **numbers})
            rows[REGIME_LABELS.name].append({**common, **label, **evidence})
            rows[LIQUIDITY_REGIMES.name].append({**common, **EASY, "since": session.day})
        rows[REGIME_LABELS.name].append({"symbol": MARKET, **seen, **label, **evidence})
        rows[BREADTH.name].append({**dict.fromkeys(c.name for c in BREADTH.columns), **WIDE, **seen})
    made = {table.name: table.frame(rows[table.name]) for table in tables}
    return {**made, CORPORATE_ACTIONS.name: CORPORATE_ACTIONS.empty()}


def _closed(day: date, cash: str | int, held: Mapping[str, tuple[int, str]] | None = None) -> SessionClose:
    """A settled session: cash, and per symbol shares and their close."""
    positions = {symbol: Position(symbol, count, Decimal(count * 100)) for symbol, (count, _) in (held or {}).items()}
    prices = {symbol: Decimal(close) for symbol, (_, close) in (held or {}).items()}
    return SessionClose(day, Book(Decimal(cash), positions), prices, Decimal(0), Decimal(0), Decimal(0))


def _with_closes(ledger: SqlLedger, *cash: str | int, before: date = DAY) -> SqlLedger:
    """A book that held nothing but cash at the closes before a day."""
    with ledger.session() as transaction:
        for back, amount in zip(range(len(cash), 0, -1), cash, strict=True):
            transaction.add_settlement(_closed(XNYS.previous(before, back).day, amount), (), ())
    return ledger


def _tight(**limits: Any) -> Rules:
    own = rules()
    return replace(own, preferences=own.preferences.model_copy(update=limits))


def _gated(result: SlotResult) -> list[tuple[TradePlan, Verdict]]:
    """The plans with the risk gate's verdicts alone."""
    return [(plan, verdict) for plan, verdict in result.judged if verdict.signer == "risk_gate"]


def test_a_setup_becomes_thesis_plan_verdict_intent_and_bracket(tmp_path: Path) -> None:
    result = _decide(new_ledger(tmp_path), world_of(_breakouts(["MSFT"])))
    assert result.mind is not None
    assert "MSFT" in {thesis.symbol for thesis in result.mind.theses}
    (asked,) = result.plans
    verdict, *others = [verdict for _, verdict in result.judged]
    assert [(each.signer, each.ruling) for each in others] == [
        ("fact_checker", "approve"),
        ("double_checker", "approve"),
    ]
    assert (asked.strategy, asked.quantity, verdict.ruling) == ("momentum_breakout", 49, "approve")
    assert [(order.role, order.quantity) for order in result.orders] == [("entry", 49), ("stop", 49), ("target", 49)]
    assert result.decision.reason == "1 plans"
    assert (result.decision.plans, result.decision.vetoes, result.decision.state) == (1, 0, "ACTIVE")


def test_plans_of_one_slot_count_against_each_other(tmp_path: Path) -> None:
    result = _decide(new_ledger(tmp_path), world_of(_breakouts(["AAPL", "IBM", "MSFT"])), by=_tight(positions_max=2))
    assert [(p.symbol, v.ruling, [b.control for b in v.breaches]) for p, v in _gated(result)] == [
        ("AAPL", "approve", []),
        ("IBM", "approve", []),
        ("MSFT", "veto", ["C8"]),
    ]
    assert (result.decision.vetoes, len(result.intents)) == (1, 2)


def test_what_an_approved_plan_may_cost_is_gone_for_the_next_one(tmp_path: Path) -> None:
    """Each asks for 49 shares at 100.50; 7 % of 100,000 pays for 49 and then for 20."""
    result = _decide(
        new_ledger(tmp_path), world_of(_breakouts(["AAPL", "IBM"])), by=_tight(gross_exposure_fraction_max=0.07)
    )
    assert [(p.symbol, v.ruling, v.quantity) for p, v in _gated(result)] == [
        ("AAPL", "approve", 49),
        ("IBM", "shrink", 20),
    ]
    assert [order.quantity for order in result.orders if order.role == "entry"] == [49, 20]


def test_a_slot_without_briefs_enters_nothing_and_says_why(tmp_path: Path) -> None:
    world = replace(world_of(_breakouts(["MSFT"])), counsel=by_rules())
    result = _decide(new_ledger(tmp_path), world)
    assert (result.mind, result.orders) == (Mind(), ())
    assert result.decision.reason == "no analyst was heard: exits only; no strategy found a setup"


def test_a_slot_after_the_open_reads_nothing_and_is_on_record(tmp_path: Path) -> None:
    ledger = new_ledger(tmp_path)
    nothing = World(FactBook({t.name: t.empty() for t in FACT_TABLES}), FactGate({}, {}), by_rules())
    with ledger.session() as transaction:
        result = decide_slot(slot_of(DAY, "10:00"), nothing, rules(), transaction)
        assert transaction.decisions(DAY, DAY) == [result.decision]
    assert (result.decision.state, result.decision.reason) == ("IDLE", "no strategy acts in this slot")


def test_a_session_decides_every_slot_in_order_and_settles_once(tmp_path: Path) -> None:
    ledger, world = new_ledger(tmp_path), _true_world(DAY)
    with ledger.session() as transaction:
        results = list(walk_session(XNYS.session(DAY), world, rules(), transaction))
        close = transaction.close_of(DAY)
        assert settle_session(XNYS.session(DAY), world, rules(), transaction) == close
    assert [result.slot.label for result in results] == list(rules().settings.decisions.slots)


def test_slots_after_an_early_close_are_not_decided(tmp_path: Path) -> None:
    friday = date(2012, 11, 23)
    with at_open(tmp_path, friday).session() as transaction:
        results = list(walk_session(XNYS.session(friday), _true_world(friday), rules(), transaction))
    assert [result.slot.label for result in results][-1] == "12:30"


def test_deciding_a_slot_twice_is_refused_and_leaves_the_first_decision(tmp_path: Path) -> None:
    ledger, world = new_ledger(tmp_path), world_of(_breakouts(["MSFT"]))
    first = _decide(ledger, world)
    with pytest.raises(DuplicateDecision, match=f"slot 09:30 of {DAY}"):
        _decide(ledger, world_of(_breakouts(["AAPL"])))
    with ledger.session() as transaction:
        assert transaction.decisions(DAY, DAY) == [first.decision]
        assert [order for order, _ in transaction.orders_placed(DAY, DAY)] == list(first.orders)


# --- gates and freshness -------------------------------------------------------------------------------------------


def _gate(record: GateRecord | None, version: str | None = "v") -> FactGate:
    return FactGate({BEFORE: record} if record else {}, {BEFORE: version} if version else {})


def _also(gate: FactGate, day: date) -> FactGate:
    """The gate with one more session that has passed."""
    passed = GateRecord(DAILY_BARS.name, day, "v", passed=True)
    return FactGate({**gate._gates, day: passed}, {**gate._versions, day: "v"})


_PASSED = GateRecord(DAILY_BARS.name, BEFORE, "v", passed=True)
_CLOSED = {
    "no verdict": (_gate(None), "has not judged daily_bars of 2012-06-15"),
    "failed": (_gate(replace(_PASSED, passed=False, failures=("a gap",))), "refused daily_bars of 2012-06-15: a gap"),
    "other version": (_gate(_PASSED, "w"), "daily_bars of 2012-06-15 changed after"),
    "no bars": (_gate(_PASSED, None), "there are no daily_bars of 2012-06-15"),
}


@pytest.mark.parametrize(("gate", "words"), _CLOSED.values(), ids=_CLOSED)
def test_a_closed_gate_stops_the_slot_and_nothing_is_written(tmp_path: Path, gate: FactGate, words: str) -> None:
    ledger, frames = new_ledger(tmp_path), _breakouts(["MSFT"])
    with pytest.raises(GateClosed, match=words) as raised:
        _decide(ledger, world_of(frames, gate=gate))
    assert raised.value.value == BEFORE
    with ledger.session() as transaction:
        assert transaction.decisions(DAY, DAY) == []
        assert transaction.intents(DAY) == []
    assert _decide(ledger, world_of(frames, gate=_gate(_PASSED))).orders


@pytest.mark.parametrize(("gate", "words"), _CLOSED.values(), ids=_CLOSED)
def test_a_closed_gate_stops_settlement_and_the_whole_session_is_rolled_back(
    tmp_path: Path, gate: FactGate, words: str
) -> None:
    """Decided on good bars of the session before, stopped by its own: the transaction takes the decisions with it."""
    ledger, before = new_ledger(tmp_path), date(2012, 6, 14)
    frames = window(market().frames, BEFORE)
    both = _also(gate, before)
    with pytest.raises(GateClosed, match=words), ledger.session() as transaction:
        list(walk_session(XNYS.session(BEFORE), world_of(frames, gate=both), rules(), transaction))
    with ledger.session() as transaction:
        assert transaction.decisions(BEFORE, BEFORE) == []
        assert transaction.close_of(BEFORE) is None


def test_facts_older_than_the_session_before_are_refused(tmp_path: Path) -> None:
    stale = {name: frame.filter(pl.col("session") < BEFORE) for name, frame in window(market().frames, DAY).items()}
    with pytest.raises(DataNotReady, match="slot 09:30 of 2012-06-18 has no fresh facts") as raised:
        _decide(new_ledger(tmp_path), world_of(stale, gate=_gate(_PASSED)))
    assert (raised.value.value, raised.value.bound) == (date(2012, 6, 14), BEFORE)
    assert raised.value.hint == "desk ingest --from 2012-06-15 --to 2012-06-15, then the premarket job"


def test_fresh_bars_without_their_indicators_are_refused(tmp_path: Path) -> None:
    frames = window(market().frames, DAY)
    stale = {**frames, INDICATORS.name: frames[INDICATORS.name].filter(pl.col("session") < BEFORE)}
    with pytest.raises(DataNotReady, match="there are no indicators of 2012-06-15"):
        _decide(new_ledger(tmp_path), world_of(stale))


def test_a_book_that_missed_a_session_is_refused(tmp_path: Path) -> None:
    """Its stops, splits and dividends of the session in between would be lost."""
    ledger = _with_closes(new_ledger(tmp_path), 100_000, before=BEFORE)
    with pytest.raises(DataNotReady, match="last settled on 2012-06-14 and cannot open 2012-06-18") as raised:
        _decide(ledger, _true_world(DAY))
    assert raised.value.bound == BEFORE
    with pytest.raises(DataNotReady, match="cannot open"), ledger.session() as transaction:
        settle_session(XNYS.session(DAY), _true_world(DAY), rules(), transaction)


# --- the state of the book -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("closes", "state", "ruling"),
    [
        ((100_000, "98000.01"), "ACTIVE", "approve"),
        ((100_000, "98000.00"), "REDUCING", None),
        ((100_000, "96000.00"), "HALTED", None),
        ((100_000, 99_000, 98_000, 97_000, 96_000, 95_000, 94_000, 93_000, 92_000), "HALTED", None),
    ],
    ids=["active", "reduces", "halts on the day's loss", "halts on the drawdown"],
)
def test_losses_change_what_the_desk_may_do(
    tmp_path: Path, closes: Sequence[int], state: str, ruling: str | None
) -> None:
    ledger = _with_closes(new_ledger(tmp_path), *closes)
    result = _decide(ledger, world_of(_breakouts(["MSFT"])))
    assert result.decision.state == state
    assert [verdict.ruling for _, verdict in _gated(result)] == ([ruling] if ruling else [])
    with ledger.session() as transaction:
        assert (transaction.open_halt() is not None) == (state == "HALTED")


def test_a_halt_is_recorded_once_outlives_a_recovery_and_only_the_operator_lifts_it(tmp_path: Path) -> None:
    ledger = _with_closes(new_ledger(tmp_path), 100_000, 95_000)
    assert _decide(ledger, world_of(_breakouts(["MSFT"]))).decision.state == "HALTED"
    days_after = [XNYS.next(DAY, n).day for n in (1, 2)]
    for day in days_after:
        with ledger.session() as transaction:
            transaction.add_settlement(_closed(XNYS.previous(day).day, 150_000), (), ())
        decision = _decide(ledger, world_of(_breakouts(["MSFT"], day)), day).decision
        assert (decision.state, decision.reason) == ("HALTED", "halted: C11 daily loss: 5.00%, halts at 4.00%")
    with ledger.session() as transaction:
        halt = transaction.open_halt()
        assert halt is not None
        transaction.acknowledge(halt.id, "it was a typing error", as_of=XNYS.session(days_after[-1]).close)
        assert transaction.open_halt() is None


def test_an_acknowledgement_begins_a_new_history(tmp_path: Path) -> None:
    """The peak of 100,000 is forgotten: 91,000 is where the book starts again."""
    ledger = _with_closes(new_ledger(tmp_path), 100_000, 91_000)
    _decide(ledger, world_of(_breakouts(["MSFT"])))
    day, at = XNYS.next(DAY).day, XNYS.session(DAY).close
    with ledger.session() as transaction:
        halt = transaction.open_halt()
        assert halt is not None
        transaction.acknowledge(halt.id, "seen", as_of=at)
        transaction.add_settlement(_closed(DAY, 91_000), (), ())
    result = _decide(ledger, world_of(_breakouts(["MSFT"], day)), day)
    assert (result.decision.state, len(result.intents)) == ("ACTIVE", 1)


def test_a_halted_book_flattens_and_enters_nothing(tmp_path: Path) -> None:
    ledger = at_open(tmp_path, HELD_DAY)
    with ledger.session() as transaction:
        carried = transaction.latest_close(HELD_DAY)
        transaction.add_halt("operator: enough", as_of=slot_of(HELD_DAY).at)
    assert carried is not None
    assert carried.book.positions
    result = _decide(ledger, _true_world(HELD_DAY), HELD_DAY)
    assert {(o.symbol, o.role, o.type, o.quantity) for o in result.orders} == {
        (symbol, "exit", "market", position.quantity) for symbol, position in carried.book.positions.items()
    }
    with ledger.session() as transaction:
        close = settle_session(XNYS.session(HELD_DAY), _true_world(HELD_DAY), rules(), transaction)
    assert close.book.positions == {}
    assert close.book.orders == {}


def test_a_halted_book_keeps_its_stops_while_it_sells(tmp_path: Path) -> None:
    """The protection goes with the shares and not before them."""
    ledger = at_open(tmp_path, HELD_DAY)
    with ledger.session() as transaction:
        transaction.add_halt("operator: enough", as_of=slot_of(HELD_DAY).at)
        carried = transaction.latest_close(HELD_DAY)
    assert carried is not None
    stops = {o.symbol: o.open_quantity for o in carried.book.orders.values() if o.role == "stop"}
    assert stops == {symbol: position.quantity for symbol, position in carried.book.positions.items()}


def _state_of(ledger: LedgerSession, day: date) -> str:
    return next(d.state for d in ledger.decisions(day, day) if d.slot == "09:30")


def test_reducing_lasts_for_one_session_unless_the_loss_goes_on(tmp_path: Path) -> None:
    ledger = _with_closes(new_ledger(tmp_path), 100_000, 97_500)
    _decide(ledger, world_of(_breakouts(["MSFT"])))
    day = XNYS.next(DAY).day
    with ledger.session() as transaction:
        transaction.add_settlement(_closed(DAY, 97_500), (), ())
    _decide(ledger, world_of(_breakouts(["MSFT"], day)), day)
    with ledger.session() as transaction:
        assert (_state_of(transaction, DAY), _state_of(transaction, day)) == ("REDUCING", "ACTIVE")
