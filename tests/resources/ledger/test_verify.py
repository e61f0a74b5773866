"""The proof of a ledger finds whatever somebody with the database in his hands may do to it, on both databases."""

import random
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.ledger import schema as t
from resources.ledger.claims import COVERED, instant
from resources.ledger.engine import open_ledger, reading, transaction
from resources.ledger.journal import read_journal
from resources.ledger.journal_files import HEAD, JournalFiles
from resources.ledger.verify import SHOWN_MAX, Proof, examine, verify_ledger
from tests.postgres import Server
from tests.resources.ledger.dispatching import orders_at_a_broker
from tests.resources.ledger.entries import DAYS, at
from tests.resources.ledger.journaled import (
    Teller,
    appended,
    day_of_trading,
    desk_week,
    note,
    remembering_week,
    unguarded,
)
from trading_assets.core.errors import DeskError
from trading_assets.core.journal import GENESIS, link

TABLES: dict[str, sa.Table] = {
    table.name: table
    for table in (
        *(t.JOURNAL, t.DECISIONS, t.SIGNATURES, t.INTENTS, t.ORDERS, t.FILLS, t.DIVIDENDS, t.CLOSES, t.HALTS),
        *(t.ACKNOWLEDGEMENTS, t.PARAMETER_CHANGES, t.POSITIONS, t.MINDS, t.LESSONS, t.PROPOSALS),
        *(t.INTENT_HISTORY, t.SEALS, t.EXECUTIONS, t.EXECUTION_FEES, t.ADOPTIONS),
    )
}
# Numbers that the database gives out say in which order rows came, and nothing else.
ORDER = {
    **dict.fromkeys(("signatures", "intents", "orders", "fills", "dividends", "closes", "parameter_changes"), "seq"),
    **dict.fromkeys(("minds", "lessons", "proposals"), "seq"),
    **dict.fromkeys(("intent_history", "seals", "executions", "execution_fees", "adoptions"), "seq"),
    **dict.fromkeys(("decisions", "acknowledgements"), "id"),
}
FIELDS = [
    (name, column.name) for name, table in TABLES.items() for column in table.columns if ORDER.get(name) != column.name
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def week(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """A week of the desk in either database; tests change it in transactions that they take back."""
    engine = _empty(request, tmp_path_factory)
    desk_week(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """The same with rows in every table that the journal covers."""
    engine = _empty(request, tmp_path_factory)
    orders_at_a_broker(engine)
    remembering_week(engine)
    yield engine
    engine.dispose()


def _empty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> sa.Engine:
    if request.param == "sqlite":
        where: Path | str = tmp_path_factory.mktemp("week") / "desk.sqlite"
    else:
        server: Server = request.getfixturevalue("server")
        where = server.url(request.getfixturevalue("migrated"))
    return open_ledger(where, durability="NORMAL")


@contextmanager
def tampering(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction without triggers that is taken back at its end."""
    with engine.connect() as connection, connection.begin() as begun:
        unguarded(connection)
        yield connection
        begun.rollback()


def rows_of(connection: sa.Connection, table: sa.Table) -> Sequence[Any]:
    return connection.execute(sa.select(table).order_by(*table.primary_key)).all()


def this_row(table: sa.Table, row: Any) -> sa.ColumnElement[bool]:
    return sa.and_(*(column == getattr(row, column.name) for column in table.primary_key))


def changed(value: Any, salt: int) -> Any:
    """Another value of the same type."""
    if value is None:
        return f"null no more {salt}"
    if isinstance(value, bool):
        return not value
    if isinstance(value, date):
        return value + timedelta(days=1000 + salt)
    if isinstance(value, str):
        return f"{value}{chr(97 + salt)}" if salt % 2 else value[:-1] + chr(97 + salt) if value else "x"
    return value + 100_000 + salt


def alter(connection: sa.Connection, table: sa.Table, column: str, position: int, salt: int) -> bool:
    """Changes one field of one row; False when that left it as it was."""
    rows = rows_of(connection, table)
    row = rows[position % len(rows)]
    before = getattr(row, column)
    is_amount = isinstance(table.c[column].type, sa.types.TypeDecorator)
    after = Decimal(salt + 1) if is_amount and before is None else changed(before, salt)
    connection.execute(table.update().where(this_row(table, row)).values({column: after}))
    return bool(before != after)


# What is sound


def test_a_desks_week_is_proven_with_its_counts(engine: sa.Engine, tmp_path: Path) -> None:
    files = JournalFiles(tmp_path / "journal")
    teller = desk_week(engine)
    files.write_after_commit(teller.records)
    proof = verify_ledger(engine, head=files.folder / HEAD)
    assert proof.problems == ()
    assert (proof.entries, proof.seq, proof.hash) == (26, 26, teller.records[-1].hash)
    assert proof.rows == {
        "decisions": 6,
        "signatures": 6,
        "vetoes": 6,
        "intents": 3,
        "orders": 6,
        "fills": 3,
        "dividends": 3,
        "closes": 3,
        "halts": 2,
        "acknowledgements": 1,
        "parameter_changes": 2,
        "positions": 1,
        **dict.fromkeys(("minds", "lessons", "proposals"), 0),
        **dict.fromkeys(("intent_history", "seals", "executions", "execution_fees", "adoptions"), 0),
    }


def test_what_the_desk_remembers_is_proven_with_its_counts(engine: sa.Engine) -> None:
    remembering_week(engine)
    proof = verify_ledger(engine, head=None)
    assert proof.problems == ()
    assert {name: proof.rows[name] for name in ("decisions", "minds", "lessons", "proposals")} == {
        "decisions": 9,
        "minds": 3,
        "lessons": 3,
        "proposals": 3,
    }


def test_an_empty_ledger_is_proven(engine: sa.Engine, tmp_path: Path) -> None:
    proof = verify_ledger(engine, head=tmp_path / HEAD)
    assert (proof.entries, proof.seq, proof.hash, proof.problems, proof.more) == (0, 0, GENESIS, (), 0)
    assert proof.proven


def test_two_books_in_one_ledger_are_proven(engine: sa.Engine) -> None:
    desk_week(engine)
    desk_week(engine, "other", DAYS[5:7])
    assert verify_ledger(engine, head=None).problems == ()


def test_a_ledger_is_proven_while_the_desk_goes_on(engine: sa.Engine) -> None:
    done = threading.Event()

    def trade() -> None:
        teller = Teller(engine)
        for day in DAYS[:12]:
            day_of_trading(teller, day)
        done.set()

    writer = threading.Thread(target=trade)
    writer.start()
    proofs = []
    while not done.is_set():
        proofs.append(verify_ledger(engine, head=None))
    writer.join()
    assert [proof.problems for proof in proofs if not proof.proven] == []
    assert verify_ledger(engine, head=None).entries == 12 * 7


# What is found


@pytest.mark.parametrize(("name", "column"), FIELDS)
def test_an_altered_field_is_found_whatever_field_it_is(whole: sa.Engine, name: str, column: str) -> None:
    with tampering(whole) as connection:
        assert alter(connection, TABLES[name], column, 0, 1)
        assert not examine(connection, head=None).proven


@settings(max_examples=25, deadline=None)
@given(field=st.sampled_from(FIELDS), position=st.integers(0, 200), salt=st.integers(0, 20))
def test_any_altered_field_of_any_row_is_found(
    whole: sa.Engine, field: tuple[str, str], position: int, salt: int
) -> None:
    with tampering(whole) as connection:
        if alter(connection, TABLES[field[0]], field[1], position, salt):
            assert not examine(connection, head=None).proven


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(sorted(TABLES)), position=st.integers(0, 200))
def test_any_missing_row_is_found(whole: sa.Engine, name: str, position: int) -> None:
    """The newest entry alone is found by the anchor only, or by the row that it tells of."""
    table = TABLES[name]
    with tampering(whole) as connection:
        rows = rows_of(connection, table)
        connection.execute(table.delete().where(this_row(table, rows[position % len(rows)])))
        assert not examine(connection, head=None).proven


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(sorted(set(ORDER) | {"journal", "halts"})), one=st.integers(0, 99), two=st.integers(0, 99))
def test_any_swapped_pair_is_found(whole: sa.Engine, name: str, one: int, two: int) -> None:
    """Two rows with everything in them trade places."""
    table = TABLES[name]
    (key,) = table.primary_key
    with tampering(whole) as connection:
        rows = rows_of(connection, table)
        first, second = (getattr(rows[position % len(rows)], key.name) for position in (one, two))
        for old, new in ((first, -1), (second, first), (-1, second)):
            connection.execute(table.update().where(key == old).values({key.name: new}))
        assert examine(connection, head=None).proven == (first == second)


@pytest.mark.parametrize("name", sorted(set(TABLES) - {"journal", "positions"}))
def test_a_row_that_nobody_journaled_is_found(whole: sa.Engine, name: str) -> None:
    table = TABLES[name]
    with tampering(whole) as connection:
        row = rows_of(connection, table)[-1]._asdict()
        kept = {"halt_id", "order_id"} if table.foreign_keys else set()
        fresh = {k: v if k in kept or k == "session" else changed(v, 3) for k, v in row.items()}
        if name == "acknowledgements":
            fresh["halt_id"] = 2
        connection.execute(table.insert(), fresh)
        proof = examine(connection, head=None)
    assert any("has no journal entry" in problem for problem in proof.problems)


def test_each_problem_names_table_row_field_and_entry(week: sa.Engine) -> None:
    with tampering(week) as connection:
        connection.execute(t.FILLS.update().where(t.FILLS.c.session == DAYS[1]).values(price=Decimal("100.5")))
        row = connection.execute(sa.select(t.FILLS).where(t.FILLS.c.session == DAYS[1])).one()
        (problem,) = examine(connection, head=None).problems
    assert problem == f"fills: desk {row.id} has price 100.5000, journal entry 13 says 100.4999"


def test_a_plan_that_was_exchanged_with_its_journal_is_not_the_one_that_was_signed(week: sa.Engine) -> None:
    with tampering(week) as connection:
        plan: str = connection.execute(sa.select(t.INTENTS.c.plan).where(t.INTENTS.c.seq == 1)).scalar_one()
        connection.execute(t.INTENTS.update().where(t.INTENTS.c.seq == 1).values(plan=plan.replace("95.25", "59.25")))
        problems = examine(connection, head=None).problems
    assert any("is not the one that was signed" in problem for problem in problems)


def test_a_broken_chain_is_named_once_and_not_from_there_on(week: sa.Engine) -> None:
    with tampering(week) as connection:
        connection.execute(t.JOURNAL.update().where(t.JOURNAL.c.seq == 7).values(title="another"))
        problems = examine(connection, head=None).problems
    assert problems == ("journal entry 7 is not what was written: its content has another hash",)


def test_missing_entries_are_named_by_their_numbers(week: sa.Engine) -> None:
    with tampering(week) as connection:
        connection.execute(t.JOURNAL.delete().where(t.JOURNAL.c.seq.between(24, 25)))
        problems = examine(connection, head=None).problems
    assert problems[0] == "entries 24 to 25 are missing in the journal"
    assert sum("parameter_changes" in problem for problem in problems) == 2


def test_an_entry_that_was_hashed_anew_does_not_hide(week: sa.Engine) -> None:
    """Whoever alters an entry and computes its hash breaks the link of the next one."""
    with tampering(week) as connection:
        reforge(connection, first=7, last=7)
        problems = examine(connection, head=None).problems
    assert problems == ("journal entry 8 does not follow entry 7: its link to it is broken",)


def reforge(connection: sa.Connection, *, first: int, last: int) -> None:
    """Alters a title and computes the hashes from there on."""
    names = [column.name for column in t.JOURNAL.columns if column.name not in {"previous", "hash"}]
    before: str | None = None
    for row in rows_of(connection, t.JOURNAL)[first - 1 : last]:
        fields = {name: getattr(row, name) for name in names} | {"session": row.session.isoformat()}
        fields["title"] = "forged" if row.seq == first else fields["title"]
        previous = before or row.previous
        before = link(previous, fields)
        changes = {"title": fields["title"], "previous": previous, "hash": before}
        connection.execute(t.JOURNAL.update().where(t.JOURNAL.c.seq == row.seq).values(changes))


def test_a_chain_that_was_forged_to_its_end_is_found_by_its_anchor(week: sa.Engine, tmp_path: Path) -> None:
    files = JournalFiles(tmp_path / "journal")
    files.rebuild(week, anchor=True)
    with tampering(week) as connection:
        reforge(connection, first=7, last=26)
        assert examine(connection, head=None).proven, "the chain alone cannot know"
        (problem,) = examine(connection, head=files.folder / HEAD).problems
    assert "the journal was written anew behind its anchor" in problem


def test_a_tail_that_was_cut_off_with_its_rows_is_found_by_its_anchor(week: sa.Engine, tmp_path: Path) -> None:
    files = JournalFiles(tmp_path / "journal")
    files.rebuild(week, anchor=True)
    with tampering(week) as connection:
        connection.execute(t.HALTS.delete().where(t.HALTS.c.id == 2))
        connection.execute(t.JOURNAL.delete().where(t.JOURNAL.c.seq == 26))
        assert examine(connection, head=None).proven, "the chain alone cannot know"
        (problem,) = examine(connection, head=files.folder / HEAD).problems
    assert "the journal ends at entry 25, but entry 26 was committed: entry 26 is lost" in problem


def test_an_entry_that_does_not_tell_what_it_must_is_found(engine: sa.Engine) -> None:
    appended(engine, [note(0, kind="fill", body={"fill_id": "f"})])
    (problem,) = verify_ledger(engine, head=None).problems
    assert problem.startswith("journal entry 1 does not tell what a fill must: ")


def test_rows_without_entries_are_found(engine: sa.Engine) -> None:
    """The ledger's own tables, written by somebody who journals nothing."""
    with transaction(engine) as connection:
        rows = [{"book": "desk", "cause": "quiet", "at": at(DAYS[0]).isoformat()}]
        connection.execute(t.HALTS.insert(), rows)
    assert verify_ledger(engine, head=None).problems == ("halts: 1 has no journal entry",)


def test_pockets_that_are_not_the_sum_of_their_calls_are_found(week: sa.Engine) -> None:
    with tampering(week) as connection:
        connection.execute(
            t.POCKETS.insert(), {"name": "day:desk:2024-03-05", "spent": Decimal(1), "reserved": Decimal(0), "calls": 0}
        )
        (problem,) = examine(connection, head=None).problems
    assert "pocket day:desk:2024-03-05" in problem


def test_positions_that_are_not_the_newest_closes_are_found(week: sa.Engine) -> None:
    with tampering(week) as connection:
        connection.execute(t.POSITIONS.update().values(symbol="ZZZ"))
        problems = examine(connection, head=None).problems
    assert [problem.split(",")[0] for problem in problems] == [
        "positions: desk AAA is not held",
        "positions: desk ZZZ is 7 shares at cost 703.5343",
    ]


def test_a_reference_to_nothing_is_found_by_the_database(week: sa.Engine) -> None:
    with tampering(week) as connection:
        connection.execute(t.HALTS.delete().where(t.HALTS.c.id == 1))
        problems = examine(connection, head=None).problems
    assert any(problem.startswith("database: ") and "halts" in problem for problem in problems)


def test_a_proof_shows_a_bounded_number_of_problems(engine: sa.Engine) -> None:
    appended(engine, [note(number, kind="fill") for number in range(SHOWN_MAX + 7)])
    proof = verify_ledger(engine, head=None)
    assert (len(proof.problems), proof.more, proof.proven) == (SHOWN_MAX, 7, False)


@pytest.mark.parametrize("nonsense", ["x", b"\x00\xff", 1.5, None, -1, "2024-13-45"])
@pytest.mark.parametrize(
    "field", ["fills.price", "fills.session", "fills.at", "decisions.plans", "journal.seq", "journal.body"]
)
def test_nonsense_in_a_field_is_a_finding_and_no_traceback(path: Path, field: str, nonsense: object) -> None:
    """SQLite keeps anything in any column."""
    desk_week(open_ledger(path, durability="NORMAL"), days=DAYS[:1]).engine.dispose()
    table, column = field.split(".")
    with sqlite3.connect(path) as file:
        for (name,) in file.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            file.execute(f"drop trigger {name}")
        if nonsense is None:
            file.execute("pragma writable_schema = on")
            file.execute("update sqlite_master set sql = replace(sql, 'NOT NULL', '') where name = ?", (table,))
    with sqlite3.connect(path) as file:
        file.execute(f"update {table} set {column} = ? where rowid = (select max(rowid) from {table})", (nonsense,))
    assert not verify_ledger(open_ledger(path, durability="NORMAL"), head=None).proven


# Files


@pytest.mark.fault(19)
def test_a_copy_without_its_write_ahead_log_has_lost_entries(path: Path, tmp_path: Path) -> None:
    engine = open_ledger(path, durability="FULL")
    files = JournalFiles(tmp_path / "journal")
    with reading(engine) as reader:
        # A reader keeps the log from being folded into the file, as a desk that runs does.
        reader.execute(sa.select(t.JOURNAL)).all()
        files.write_after_commit(desk_week(engine).records)
        copy = tmp_path / "copy" / path.name
        copy.parent.mkdir()
        shutil.copy(path, copy)
        assert (path.parent / f"{path.name}-wal").stat().st_size > 0
    proof = verify_ledger(open_ledger(copy, durability="FULL"), head=files.folder / HEAD)
    (problem,) = proof.problems
    assert "but entry 26 was committed" in problem
    assert "a copy without its -wal file or an old backup" in problem
    assert verify_ledger(engine, head=files.folder / HEAD).proven


@pytest.mark.fault(19)
def test_an_old_copy_with_the_newer_log_is_never_taken_for_whole(path: Path, tmp_path: Path) -> None:
    """A stale file beside a log that belongs to a later one."""
    engine = open_ledger(path, durability="FULL")
    files = JournalFiles(tmp_path / "journal")
    teller = Teller(engine)
    day_of_trading(teller, DAYS[0])
    engine.dispose()
    copy = tmp_path / "copy" / path.name
    copy.parent.mkdir()
    shutil.copy(path, copy)
    with reading(engine) as reader:
        reader.execute(sa.select(t.JOURNAL)).all()
        day_of_trading(teller, DAYS[1])
        files.write_after_commit(teller.records)
        shutil.copy(path.parent / f"{path.name}-wal", copy.parent)
    try:
        proof = verify_ledger(open_ledger(copy, durability="FULL"), head=files.folder / HEAD)
    except DeskError:
        return
    assert not proof.proven or proof.hash == teller.records[-1].hash


@pytest.mark.fault(18)
def test_a_flipped_byte_is_found_or_harmless(path: Path, tmp_path: Path) -> None:
    engine = open_ledger(path, durability="FULL")
    desk_week(engine)
    engine.dispose()
    sound, whole = path.read_bytes(), read_journal(engine)
    engine.dispose()
    places = random.Random(18).sample(range(len(sound)), 60)
    found = 0
    for number, place in enumerate(places):
        copy = tmp_path / f"{number}.sqlite"
        copy.write_bytes(sound[:place] + bytes([sound[place] ^ 0x15]) + sound[place + 1 :])
        try:
            broken = open_ledger(copy, durability="FULL")
            proof = verify_ledger(broken, head=None)
            if proof.proven:
                assert read_journal(broken) == whole
                continue
        except DeskError:
            pass
        found += 1
    assert found > 5


# Forms


@pytest.mark.parametrize(
    ("stored", "form"),
    [
        ("2024-03-05T14:30:00+00:00", "2024-03-05T14:30:00.000000+00:00"),
        ("2024-03-05T14:30:00.000000+00:00", "2024-03-05T14:30:00.000000+00:00"),
        ("2024-03-05T14:30:00.000123+00:00", "2024-03-05T14:30:00.000123+00:00"),
        ("2024-03-05T14:30:00Z", "2024-03-05T14:30:00Z"),
        ("2024-03-05T09:30:00-05:00", "2024-03-05T09:30:00-05:00"),
        ("2024-03-05 14:30:00+00:00", "2024-03-05 14:30:00+00:00"),
        ("2024-03-05T14:30:00", "2024-03-05T14:30:00"),
        ("noon", "noon"),
        (5, "int 5"),
        (None, None),
    ],
)
def test_an_instant_has_one_form_and_what_is_none_stays_as_it_is(stored: object, form: object) -> None:
    assert instant(stored) == form


def test_every_column_of_a_covered_table_is_compared_but_the_one_that_orders_it() -> None:
    compared = {covered.name: set(covered.columns) for covered in COVERED}
    for name, table in TABLES.items():
        if name not in {"journal", "positions"}:
            assert compared[name] == {column.name for column in table.columns} - {ORDER.get(name)}


def test_the_tests_hold_a_proof_for_each_kind_of_row() -> None:
    assert {covered.table or covered.name for covered in COVERED} | {"journal", "positions"} == set(TABLES)


def test_a_proof_with_a_problem_is_none() -> None:
    assert not Proof(1, 1, GENESIS, {}, ("something",)).proven
