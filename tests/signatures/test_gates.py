"""A session's bars may be used when, and only when, a passing verdict stands on the very file that is stored."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from tests.execution.world import EVER, YEAR, judge, lane, market
from trading_assets.core.errors import GateClosed, TradingHalted
from trading_assets.core.ports import GateRecord, Span
from trading_assets.execution.lanes import Lane
from trading_assets.market.model import DAILY_BARS
from trading_assets.signatures.gates import FactGate

DAY = date(2012, 6, 15)
ONE = Span(DAY, DAY)


@pytest.fixture
def desk(tmp_path: Path) -> Lane:
    """A lane whose bars of the year have all passed."""
    return lane(tmp_path / "home")


def _gate(desk: Lane) -> FactGate:
    return FactGate.load(desk.lake, desk.gates, YEAR)


def _record(desk: Lane, *, version: str | None = None, passed: bool = True, failures: tuple[str, ...] = ()) -> None:
    stored = version or desk.lake.versions(DAILY_BARS, ONE)[DAY]
    desk.gates.record_gates([GateRecord(DAILY_BARS.name, DAY, stored, passed, failures)], as_of=EVER)


def _ingest_again(desk: Lane) -> None:
    """Another provider's bars for the session: one close differs by a cent."""
    bars = market().frames[DAILY_BARS.name].filter(pl.col("session") == DAY)
    first = pl.int_range(pl.len()) == 0
    desk.lake.write(DAILY_BARS, bars.with_columns(pl.col("close") + pl.when(first).then(0.01).otherwise(0.0)), ONE)


def test_a_passing_verdict_on_the_stored_file_opens_the_gate(desk: Lane) -> None:
    gate = _gate(desk)
    assert gate.problem(DAY) is None
    gate.require(DAY)


def test_missing_bars_close_the_gate(desk: Lane) -> None:
    assert _gate(desk).problem(date(2013, 1, 2)) == "there are no daily_bars of 2013-01-02"


def test_bars_that_nobody_judged_close_the_gate(desk: Lane) -> None:
    gate = FactGate({}, desk.lake.versions(DAILY_BARS, YEAR))
    assert gate.problem(DAY) == "the quality gate has not judged daily_bars of 2012-06-15"


def test_a_failed_verdict_closes_the_gate_and_says_why(desk: Lane) -> None:
    _record(desk, passed=False, failures=("IBM: high below low", "MSFT: no bar"))
    refused = "the quality gate refused daily_bars of 2012-06-15: IBM: high below low; MSFT: no bar"
    assert _gate(desk).problem(DAY) == refused


def test_a_verdict_on_another_version_is_no_verdict(desk: Lane) -> None:
    _ingest_again(desk)
    assert _gate(desk).problem(DAY) == "daily_bars of 2012-06-15 changed after the quality gate judged them"
    _record(desk)
    assert _gate(desk).problem(DAY) is None


def test_the_newest_verdict_counts(desk: Lane) -> None:
    _record(desk, passed=False, failures=("a hole",))
    _record(desk)
    assert _gate(desk).problem(DAY) is None
    _record(desk, passed=False, failures=("a hole",))
    assert _gate(desk).problem(DAY) is not None


def test_one_closed_session_leaves_the_others_open(desk: Lane) -> None:
    _record(desk, passed=False, failures=("a hole",))
    gate = _gate(desk)
    assert [gate.problem(day) for day in (date(2012, 6, 14), date(2012, 6, 18))] == [None, None]


def test_a_closed_gate_is_raised_with_session_reason_and_next_step(desk: Lane) -> None:
    _record(desk, passed=False, failures=("a hole",))
    with pytest.raises(GateClosed, match="2012-06-15: a hole") as raised:
        _gate(desk).require(DAY)
    assert raised.value.value == DAY
    assert raised.value.hint == "mend the source, then desk ingest --from 2012-06-15 --to 2012-06-15"
    assert isinstance(raised.value, TradingHalted)


def test_verdicts_are_kept_for_a_whole_range(desk: Lane) -> None:
    judge(desk.lake, desk.gates, YEAR, failures=("closed",))
    gate = _gate(desk)
    assert all(gate.problem(day) for day in desk.lake.versions(DAILY_BARS, YEAR))
