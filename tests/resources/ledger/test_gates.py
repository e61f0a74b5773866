"""Gate verdicts: the newest one of a session counts."""

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.ledger.engine import open_ledger
from resources.ledger.store import SqlGateBook
from tests.resources.ledger.entries import DAYS, at
from trading_assets.core.ports import GateRecord, Span

EVERYTHING = Span(DAYS[0], DAYS[-1])


def record(position: int, *, passed: bool = True, version: str = "v1", table: str = "daily_bars") -> GateRecord:
    return GateRecord(table, DAYS[position], version, passed, () if passed else ("a hole — in AAA", "a spike"))


def test_a_verdict_comes_back_with_its_failures(engine: sa.Engine) -> None:
    gates = SqlGateBook(engine)
    gates.record_gates([record(0), record(1, passed=False)], as_of=at(DAYS[2]))
    assert gates.gates("daily_bars", EVERYTHING) == {DAYS[0]: record(0), DAYS[1]: record(1, passed=False)}


def test_the_newest_verdict_counts_by_order_of_recording(engine: sa.Engine) -> None:
    gates = SqlGateBook(engine)
    gates.record_gates([record(0)], as_of=at(DAYS[5]))
    gates.record_gates([record(0, passed=False, version="v2")], as_of=at(DAYS[2]))
    assert gates.gates("daily_bars", EVERYTHING) == {DAYS[0]: record(0, passed=False, version="v2")}


def test_verdicts_are_found_by_table_and_span(engine: sa.Engine) -> None:
    gates = SqlGateBook(engine)
    gates.record_gates([record(n) for n in range(5)] + [record(2, table="intraday_bars")], as_of=at(DAYS[5]))
    assert list(gates.gates("daily_bars", Span(DAYS[1], DAYS[3]))) == list(DAYS[1:4])
    assert gates.gates("intraday_bars", EVERYTHING) == {DAYS[2]: record(2, table="intraday_bars")}
    assert gates.gates("indicators", EVERYTHING) == {}


def test_no_verdict_is_no_entry(engine: sa.Engine) -> None:
    gates = SqlGateBook(engine)
    gates.record_gates([], as_of=at(DAYS[0]))
    assert gates.gates("daily_bars", EVERYTHING) == {}


verdicts = st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.sampled_from(["v1", "v2"])), max_size=6)


@settings(deadline=None, max_examples=25)
@given(batches=st.lists(verdicts, max_size=5))
def test_any_history_of_verdicts_reads_like_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[int, bool, str]]]
) -> None:
    folder = tmp_path_factory.mktemp("gates")
    gates = SqlGateBook(open_ledger(folder / "ledger.sqlite", durability="NORMAL"))
    expected = {}
    for batch in batches:
        records = [record(position, passed=passed, version=version) for position, passed, version in batch]
        gates.record_gates(records, as_of=at(DAYS[9]))
        expected.update({each.session: each for each in records})
    assert gates.gates("daily_bars", EVERYTHING) == expected
