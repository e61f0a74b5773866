"""The bus between processes that write at once, share a name, stop and die: nothing lost, nothing doubled, in order."""

import os
import random
import signal
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.bus import Consumer, follow, publish, read_messages
from resources.ledger.engine import reading, transaction
from tests.postgres import running
from tests.resources.ledger.bus_parts import (
    EVERYTHING,
    NOW,
    ended,
    heard,
    note,
    notes,
    opened,
    run,
    stored,
    tell,
    texts,
    took,
)
from trading_assets.core.errors import TransientFailure
from trading_assets.core.messages import Message

pytestmark = pytest.mark.slow

WRITERS, EACH = 4, 60


def test_a_reader_by_id_misses_nothing_while_four_processes_write(ledger_where: Path | str) -> None:
    """Ids ascend in the order in which messages become visible: no id appears below one that was seen."""
    writers = [run(f"write(sys.argv[1], 'writer {n}', {EACH})", ledger_where) for n in range(WRITERS)]
    for writer in writers:
        assert heard(writer) == "ready"
    for writer in writers:
        tell(writer)
    engine, seen = opened(ledger_where), list[Message]()
    for message in follow(engine, EVERYTHING, after=0, name="reader", clock=NOW):
        seen.append(message)
        if len(seen) == WRITERS * EACH:
            break
    for writer in writers:
        assert ended(writer) == []
    with reading(engine) as connection:
        assert tuple(seen) == read_messages(connection, EVERYTHING, after=0, limit=10**6)
    assert all(before.id < after.id for before, after in pairwise(seen))
    for n in range(WRITERS):
        said = texts([message for message in seen if message.draft.sender == f"writer {n}"])
        assert said == [str(number) for number in range(EACH)]


def answers(engine: sa.Engine) -> list[str]:
    return [text for text in stored(engine) if text.startswith("answer")]


def test_two_processes_of_one_name_share_the_messages_and_handle_none_twice(ledger_where: Path | str) -> None:
    engine, count = opened(ledger_where), 60
    workers = [run(f"answer(sys.argv[1], 'pool', 'worker {n}', {count})", ledger_where) for n in range(2)]
    for worker in workers:
        assert heard(worker) == "ready"
    for number in range(count):
        publish(engine, [note(number, to="desk")])
    for worker in workers:
        assert ended(worker) == []
    assert Counter(answers(engine)) == Counter(f"answer to {number}" for number in range(count))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_consumer_killed_again_and_again_handles_each_message_once(ledger_where: Path | str, seed: int) -> None:
    engine, count, dice = opened(ledger_where), 80, random.Random(seed)
    publish(engine, notes(count, to="desk"))
    for number in range(3):
        doomed = run(f"answer(sys.argv[1], 'worker', 'life {number}', {count})", ledger_where)
        assert heard(doomed) == "ready"
        time.sleep(dice.uniform(0, 0.05))
        doomed.kill()
        doomed.communicate()
    survivor = run(f"answer(sys.argv[1], 'worker', 'last life', {count})", ledger_where)
    assert heard(survivor) == "ready"
    assert ended(survivor) == []
    assert answers(engine) == [f"answer to {number}" for number in range(count)]


def test_a_consumer_that_was_stopped_goes_on_where_it_was(ledger_where: Path | str) -> None:
    """SIGSTOP while it waits: the world goes on, and after SIGCONT it hears all of it."""
    engine, count = opened(ledger_where), 30
    worker = run(f"answer(sys.argv[1], 'worker', 'worker', {count})", ledger_where)
    assert heard(worker) == "ready"
    publish(engine, [note(0, to="desk")])
    while not answers(engine):
        time.sleep(0.01)
    stop_outside_of_a_transaction(engine, worker.pid)
    for number in range(1, count):
        publish(engine, [note(number, to="desk")])
    assert answers(engine) == ["answer to 0"]
    os.kill(worker.pid, signal.SIGCONT)
    assert ended(worker) == []
    assert answers(engine) == [f"answer to {number}" for number in range(count)]


def stop_outside_of_a_transaction(engine: sa.Engine, pid: int) -> None:
    """A process that is stopped with the writers' lock makes others fail until it goes on; here it is not to have it."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        try:
            with transaction(engine):
                return
        except TransientFailure:
            os.kill(pid, signal.SIGCONT)


def test_a_publisher_killed_before_its_commit_has_said_nothing(ledger_where: Path | str) -> None:
    engine = opened(ledger_where)
    with Consumer(engine, "reader", clock=NOW, start="beginning", look_every_s=0.1) as reader:
        code = (
            "engine = opened(sys.argv[1]); publish(engine, [note('whole')])\n"
            "with transaction(engine) as connection: append_messages(connection, notes(3)); say('inside'); sys.stdin.readline()"
        )
        doomed = run(code, ledger_where)
        assert heard(doomed) == "inside"
        doomed.kill()
        doomed.communicate()
        publish(engine, [note("after")])
        assert reader.wait(30)
        assert took(reader) == ["whole", "after"]


def test_a_listener_that_was_killed_does_not_stay_in_the_table(ledger_where: Path | str) -> None:
    engine = opened(ledger_where)
    doomed = run("Consumer(opened(sys.argv[1]), 'doomed', clock=NOW, start='end').wait(600)", ledger_where)
    while engine.dialect.name == "sqlite" and not registered(engine):
        time.sleep(0.01)
    doomed.kill()
    doomed.communicate()
    publish(engine, notes(1))
    publish(engine, notes(1))
    assert registered(engine) == []


def registered(engine: sa.Engine) -> list[str]:
    with reading(engine) as connection:
        return list(connection.execute(sa.select(t.LISTENERS.c.consumer)).scalars())


def test_a_server_that_was_restarted_has_kept_every_message() -> None:
    """The consumer's look says what is wrong while the server is away, and goes on afterwards."""
    with running() as server:
        engine = opened(server.url())
        with Consumer(engine, "reader", clock=NOW, start="beginning", look_every_s=0.1) as reader:
            publish(engine, notes(2))
            assert reader.wait(30)
            server.crash()
            with pytest.raises(TransientFailure):
                reader.wait(0.3)
            server.start()
            engine.dispose()
            assert reader.wait(30)
            assert took(reader) == ["0", "1"]
            publish(engine, [note("two")])
            assert reader.wait(30)
            assert took(reader) == ["two"]
        engine.dispose()
