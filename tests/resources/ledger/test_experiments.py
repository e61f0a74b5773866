"""Experiments on real databases: written down once, never changed, seeded by the journal, ended once, told in the journal."""

import json
from datetime import date, timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from resources.ledger.engine import reading, transaction
from resources.ledger.experiments import SqlExperiments, break_experiments, running_arms, under_test
from resources.ledger.journal import last_link, read_journal
from resources.ledger.journal_files import JournalFiles
from resources.ledger.schema import EXPERIMENT_DESIGNS, EXPERIMENT_ENDS
from resources.ledger.telling import tell_after_commit
from resources.ledger.verify import verify_ledger
from tests.evaluation.experiments.designs import FIRST, NOW, design
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import GENESIS
from trading_assets.core.parameters import Parameters, Tuned
from trading_assets.evaluation.experiments.model import Design, Ended

EVENING = NOW + timedelta(days=30)


def started(engine: sa.Engine, **changed: object) -> Design:
    """A design on record in the desk's book."""
    return SqlExperiments(engine, "desk").start(
        lambda registered, seed: design(registered=registered, seed=seed, **changed),  # type: ignore[arg-type]
        as_of=NOW,
    )


def stop(engine: sa.Engine, name: str = "wider-stop", reason: str = "enough seen", session: date = FIRST) -> bool:
    return SqlExperiments(engine, "desk").end(name, "stopped", reason, session=session, result={}, as_of=EVENING)


def test_a_design_comes_back_as_it_was_written_down(engine: sa.Engine) -> None:
    made = started(engine)
    (found,) = SqlExperiments(engine, "desk").registered()
    assert found.design == made
    assert found.running
    assert SqlExperiments(engine, "desk").one("wider-stop") == found
    assert SqlExperiments(engine, "backtest").registered() == ()


def test_the_seed_is_what_the_journal_said_last(engine: sa.Engine) -> None:
    assert started(engine).seed == GENESIS
    with reading(engine) as connection:
        newest = last_link(connection)[1]
    assert started(engine, id="smaller", arms={"small": {"position_fraction": 0.04}}).seed == newest
    with pytest.raises(PermanentFailure, match="journal's newest hash"):
        SqlExperiments(engine, "desk").start(lambda *_: design(id="chosen", seed="0" * 63 + "1"), as_of=NOW)


def test_begin_and_end_stand_in_the_journal_and_the_ledger_is_proven(engine: sa.Engine) -> None:
    made = started(engine)
    stop(engine)
    begun, ended = (record.entry for record in read_journal(engine))
    assert (begun.title, ended.title) == ("experiment wider-stop begun", "experiment wider-stop ended, stopped")
    assert begun.correlation_id == ended.correlation_id == "desk/experiment/wider-stop"
    assert begun.body["digest"] == made.digest
    told = begun.body["first_sessions"]
    assert isinstance(told, dict)
    assert list(told) == sorted(told)
    assert set(map(str, told.values())) == {"control", "wide"}
    assert ended.body["reason"] == "enough seen"
    assert verify_ledger(engine, head=None).proven


def test_a_page_is_written_for_the_operator(engine: sa.Engine, tmp_path: object) -> None:
    files = JournalFiles(tmp_path)  # type: ignore[arg-type]
    SqlExperiments(engine, "desk", files).start(lambda known, seed: design(registered=known, seed=seed), as_of=NOW)
    pages = [page.read_text() for page in sorted(files.folder.rglob("*.md"))]
    assert any("A wider stop loses less to noise" in page for page in pages)


def test_nothing_changes_or_removes_what_was_written_down(engine: sa.Engine) -> None:
    started(engine)
    stop(engine)
    changes = (
        EXPERIMENT_DESIGNS.update().values(digest="0" * 64),
        EXPERIMENT_DESIGNS.delete(),
        EXPERIMENT_ENDS.update().values(verdict="better"),
        EXPERIMENT_ENDS.delete(),
    )
    for change in changes:
        with pytest.raises(sa.exc.IntegrityError, match="append-only"), transaction(engine) as connection:
            connection.execute(change)


def test_a_stored_design_that_is_not_its_digest_assigns_nothing(engine: sa.Engine) -> None:
    forged = design(smallest_effect=9.0)
    row = {"book": "desk", "id": "wider-stop", "session": FIRST, "at": "2024-01-02T22:00:00.000000+00:00"}
    with transaction(engine) as connection:
        connection.execute(EXPERIMENT_DESIGNS.insert().values({**row, "design": forged.text, "digest": "0" * 64}))
    with pytest.raises(PermanentFailure, match="not what was stored"):
        running_arms(engine, "desk")


def test_a_name_and_a_parameter_are_taken_once(engine: sa.Engine) -> None:
    started(engine)
    careless = partial(SqlExperiments(engine, "desk").start, as_of=NOW)
    with pytest.raises(PermanentFailure, match="on record already"):
        careless(lambda _, seed: design(seed=seed))
    with pytest.raises(PermanentFailure, match="two experiments on one parameter"):
        careless(lambda _, seed: design(id="tight", arms={"tight": {"stop_atr": 1.5}}, seed=seed))
    stop(engine)
    assert careless(lambda _, seed: design(id="tight", arms={"tight": {"stop_atr": 1.5}}, seed=seed)).id == "tight"


def test_an_experiment_ends_once_with_a_reason_and_only_if_there_is_one(engine: sa.Engine) -> None:
    started(engine)
    with pytest.raises(PermanentFailure, match="needs a reason"):
        stop(engine, reason="  ")
    with pytest.raises(PermanentFailure, match="no such experiment"):
        stop(engine, name="other")
    assert stop(engine)
    assert not stop(engine, reason="again")
    assert SqlExperiments(engine, "desk").one("wider-stop").ended == Ended(
        "wider-stop", FIRST, "stopped", "enough seen"
    )
    with pytest.raises(PermanentFailure, match="desk experiment list"):
        SqlExperiments(engine, "desk").one("other")


def test_running_arms_are_what_decides_the_parameters_of_a_session(engine: sa.Engine) -> None:
    made = started(engine)
    tuned = Tuned(Parameters(), (), running_arms(engine, "desk"))
    days = [session.day for session in XNYS.sessions(made.first, date(2024, 2, 29))]
    assert {tuned.at(day).stop_atr for day in days} == {2.0, 2.1}
    stop(engine, session=days[4])
    ended = Tuned(Parameters(), (), running_arms(engine, "desk"))
    assert [ended.arm_names(day) for day in days[:5]] == [tuned.arm_names(day) for day in days[:5]]
    assert all(ended.at(day) == Parameters() for day in days[5:])
    assert under_test(engine, "desk") == {}


def test_whoever_moves_a_tested_parameter_ends_the_experiment_in_the_same_commit(engine: sa.Engine) -> None:
    started(engine)
    started(engine, id="smaller", arms={"small": {"position_fraction": 0.04}})
    assert under_test(engine, "desk") == {"position_fraction": "smaller", "stop_atr": "wider-stop"}
    moved_from = date(2024, 2, 5)
    with transaction(engine) as connection:
        records = break_experiments(
            connection, "desk", ["stop_atr"], from_session=moved_from, reason="proposal 17 approved", as_of=EVENING
        )
    tell_after_commit(engine, records, None)
    broken = SqlExperiments(engine, "desk").one("wider-stop").ended
    assert broken == Ended("wider-stop", date(2024, 2, 2), "broken", "proposal 17 approved")
    assert SqlExperiments(engine, "desk").one("smaller").running
    assert under_test(engine, "desk") == {"position_fraction": "smaller"}


def test_what_breaks_nothing_writes_nothing(engine: sa.Engine) -> None:
    started(engine)
    with transaction(engine) as connection:
        records = break_experiments(
            connection, "desk", ["target_fraction"], from_session=FIRST, reason="approved", as_of=EVENING
        )
    assert records == ()
    assert SqlExperiments(engine, "desk").one("wider-stop").running


def test_a_refused_design_leaves_no_trace(engine: sa.Engine) -> None:
    with pytest.raises(PermanentFailure, match="cannot begin"):
        started(engine, smallest_effect=0.1)
    assert SqlExperiments(engine, "desk").registered() == ()
    with reading(engine) as connection:
        assert last_link(connection) == (0, GENESIS)


def test_an_end_keeps_its_numbers(engine: sa.Engine) -> None:
    started(engine)
    result = {"wide": {"estimate": 1.25, "verdict": "better"}}
    SqlExperiments(engine, "desk").end(
        "wider-stop",
        "better",
        "it was",
        session=FIRST,
        result={"wide": {"estimate": 1.25, "verdict": "better"}},
        as_of=EVENING,
    )
    with reading(engine) as connection:
        stored = str(connection.execute(sa.select(EXPERIMENT_ENDS.c.result)).scalar_one())
    assert json.loads(stored) == result
