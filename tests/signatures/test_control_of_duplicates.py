"""C16: one slot, one decision; one idea, one intent. The ledger's own indexes say so, whoever asks twice."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.ledger.engine import open_ledger
from resources.ledger.schema import INTENTS
from resources.ledger.store import SqlLedger
from tests.resources.ledger.entries import DAYS, decided, decision, intent
from trading_assets.core.errors import DuplicateDecision
from trading_assets.signatures.controls import CONTROLS


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """A ledger in a file."""
    engine = open_ledger(tmp_path / "ledger" / "desk.sqlite", durability="FULL")
    yield engine
    engine.dispose()


@pytest.mark.control("C16")
def test_a_slot_that_is_asked_twice_has_one_decision(engine: sa.Engine) -> None:
    """A double tick, a retried run, a second daemon: another answer for the slot is refused, and leaves nothing behind."""
    decided(SqlLedger(engine, "desk"), DAYS[0], "AAA")
    with pytest.raises(DuplicateDecision):
        decided(SqlLedger(engine, "desk"), DAYS[0], "BBB")
    assert _symbols(engine) == ["AAA"]


@pytest.mark.control("C16")
def test_an_idea_that_comes_twice_under_two_names_is_one_intent(engine: sa.Engine) -> None:
    wanted = intent(DAYS[0])
    with pytest.raises(sa.exc.IntegrityError, match="(?i)unique"), SqlLedger(engine, "desk").session() as ledger:
        ledger.add_decision(decision(DAYS[0]), [], [wanted, replace(wanted, id="another name")], [])
    assert _symbols(engine) == []


@pytest.mark.control("C16")
def test_the_indexes_that_the_control_stands_for_exist(engine: sa.Engine) -> None:
    assert next(control for control in CONTROLS if control.id == "C16").where == "ledger"
    found = {
        each["name"] for table in ("decisions", "intents") for each in sa.inspect(engine).get_unique_constraints(table)
    }
    assert {"one_decision_per_slot", "one_intent_per_idea"} <= found


def _symbols(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return [str(row.symbol) for row in connection.execute(sa.select(INTENTS.c.symbol).order_by(INTENTS.c.seq))]
