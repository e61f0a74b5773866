"""Wake-ups of the bus: they come after the commit, may get lost, and are nobody's truth."""

import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.bus import Consumer, append_messages, publish
from resources.ledger.engine import reading, transaction
from resources.ledger.wakeups import Listener, listener_on, wake
from tests.resources.ledger.bus_parts import NOW, Ears, ended, heard, note, run, took

# A look that is farther away than any wait: what arrives before has been woken.
NEVER_LOOKS = 600.0
PATIENCE = 10.0
# What is done once in a look is done each time.
SOON = 0.001


def consumer(engine: sa.Engine, look_every_s: float = NEVER_LOOKS, name: str = "reader") -> Consumer:
    return Consumer(engine, name, clock=NOW, start="beginning", look_every_s=look_every_s)


def is_woken(engine: sa.Engine, reader: Consumer, text: str) -> bool:
    """Whether a publication reaches the consumer by a wake-up, once it has looked and waits."""
    ears = Ears(reader)
    publisher = threading.Thread(target=lambda: ears.waits.wait() and publish(engine, [note(text)]))
    publisher.start()
    found = reader.wait(PATIENCE)
    publisher.join()
    return found and ears.was_woken


def listeners(engine: sa.Engine) -> list[tuple[int, str, int]]:
    with reading(engine) as connection:
        return [(row.port, row.consumer, row.pid) for row in connection.execute(sa.select(t.LISTENERS))]


def ended_pid() -> int:
    """The id of a process that is over."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.fixture
def listener(engine: sa.Engine) -> Iterator[Listener]:
    listener = listener_on(engine, "reader", NOW)
    listener.open()
    yield listener
    listener.close()


def test_a_waiting_consumer_is_woken_by_a_publication(engine: sa.Engine) -> None:
    with consumer(engine) as reader:
        for number in range(5):
            assert is_woken(engine, reader, str(number))
            assert took(reader) == [str(number)]


def test_every_waiting_consumer_is_woken(engine: sa.Engine) -> None:
    found, ears = list[list[str]](), dict[str, Ears]()

    def read(name: str) -> None:
        with consumer(engine, name=name) as reader:
            ears[name] = Ears(reader)
            assert reader.wait(PATIENCE)
            found.append(took(reader))

    names = ("one", "two", "three")
    threads = [threading.Thread(target=read, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    while len(ears) < len(names) or not all(each.waits.is_set() for each in ears.values()):
        time.sleep(0.01)
    publish(engine, [note("all")])
    for thread in threads:
        thread.join()
    assert found == [["all"]] * 3
    assert all(each.was_woken for each in ears.values())


def test_no_wake_up_comes_before_the_commit(engine: sa.Engine, listener: Listener) -> None:
    with transaction(engine) as connection:
        append_messages(connection, [note("soon")])
        assert not listener.wait(0.05)
    wake(engine)
    assert listener.wait(PATIENCE)


def test_what_was_given_up_shows_no_message(engine: sa.Engine) -> None:
    with consumer(engine) as reader:
        assert not reader.wait(0)
        with transaction(engine) as connection:
            append_messages(connection, [note("lost")])
            connection.rollback()
        wake(engine)
        assert not reader.wait(0.05)


def test_waking_without_a_publication_wakes_nobody(engine: sa.Engine, listener: Listener) -> None:
    wake(engine)
    assert not listener.wait(0.05)
    publish(engine, [note("one")])
    assert listener.wait(PATIENCE)
    wake(engine)
    assert not listener.wait(0.05)


def test_many_wake_ups_are_one_reason_to_look(engine: sa.Engine, listener: Listener) -> None:
    for number in range(20):
        publish(engine, [note(number)])
    waits = 0
    while listener.wait(0.2):
        waits += 1
    assert 1 <= waits <= 20
    assert not listener.wait(0)


def test_waiting_for_nothing_looks_now_and_then_and_not_all_the_time(engine: sa.Engine) -> None:
    looks: list[object] = []
    with consumer(engine, look_every_s=0.1) as reader:
        sa.event.listen(engine, "begin", looks.append)
        assert not reader.wait(0.5)
    assert 2 <= len(looks) <= 8


# Lost wake-ups


@pytest.mark.fault(24)
def test_a_lost_wake_up_only_delays_until_the_next_look(engine: sa.Engine) -> None:
    """The transaction commits, and whoever should wake the readers never does."""
    with consumer(engine, look_every_s=0.05) as reader:
        assert not reader.wait(0)
        deafen(engine)
        publish(engine, [note("unheard")])
        assert reader.wait(PATIENCE)
        assert took(reader) == ["unheard"]


@pytest.mark.fault(24)
def test_a_listener_that_was_dropped_misses_nothing_and_hears_again(engine: sa.Engine) -> None:
    """Drop, publish, reconnect: the next look finds everything, and after it wake-ups arrive again."""
    with consumer(engine, look_every_s=SOON) as reader:
        assert not reader.wait(0)
        for round_ in range(3):
            deafen(engine)
            publish(engine, [note(f"{round_} while away"), note(f"{round_} too")])
            assert reader.wait(PATIENCE)
            assert took(reader) == [f"{round_} while away", f"{round_} too"]
            reader.wait(0)
            reader._look_every_s = NEVER_LOOKS
            assert is_woken(engine, reader, "again")
            assert took(reader) == ["again"]
            reader._look_every_s = SOON


def deafen(engine: sa.Engine) -> None:
    """Takes every listener's registration away without its knowledge: the row on SQLite, the connection on PostgreSQL."""
    if engine.dialect.name == "sqlite":
        with transaction(engine) as connection:
            connection.execute(t.LISTENERS.delete())
        return
    ended = "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity where query ilike 'listen %'"
    with transaction(engine) as connection:
        assert connection.execute(sa.text(ended)).scalar() == 1


@pytest.mark.fault(24)
def test_a_silent_connection_is_replaced_after_a_message_without_a_wake_up(engine: sa.Engine) -> None:
    """A proxy or a firewall may let a connection look sound that brings nothing."""
    with consumer(engine, look_every_s=SOON) as reader:
        assert not reader.wait(0)
        silence(engine, reader)
        publish(engine, [note("unheard")])
        assert reader.wait(PATIENCE)
        assert took(reader) == ["unheard"]
        reader.wait(0)
        reader._look_every_s = NEVER_LOOKS
        assert is_woken(engine, reader, "heard")


def silence(engine: sa.Engine, reader: Consumer) -> None:
    """The listener stays open and is no longer told anything."""
    if engine.dialect.name == "sqlite":
        deafen(engine)
    else:
        reader._listener._raw.execute("unlisten *")  # type: ignore[attr-defined]


# Listeners of the table


@pytest.fixture
def file_only(engine: sa.Engine) -> sa.Engine:
    if engine.dialect.name != "sqlite":
        pytest.skip("a server wakes by itself; the table is for files")
    return engine


def test_a_listener_whose_process_died_is_dropped_by_the_next_one(file_only: sa.Engine) -> None:
    with transaction(file_only) as connection:
        row = {"port": 9, "consumer": "dead", "pid": ended_pid(), "at": NOW.now().isoformat()}
        connection.execute(t.LISTENERS.insert(), row)
    with consumer(file_only) as reader:
        reader.wait(0)
        assert [(name, pid) for _, name, pid in listeners(file_only)] == [("reader", os.getpid())]


def test_a_refused_port_is_dropped_by_the_publication_after_the_one_that_found_it(file_only: sa.Engine) -> None:
    with consumer(file_only) as gone:
        gone.wait(0)
    with consumer(file_only, name="other") as reader:
        reader.wait(0)
        assert len(listeners(file_only)) == 2
        publish(file_only, [note("rings in vain")])
        publish(file_only, [note("sweeps")])
        assert [name for _, name, _ in listeners(file_only)] == ["other"]
        assert reader.wait(PATIENCE)


def test_a_port_that_another_process_got_anew_is_taken_over(file_only: sa.Engine) -> None:
    """Its former owner never took its row out."""
    with consumer(file_only) as reader:
        reader.wait(0)
        ((port, _, _),) = listeners(file_only)
        with transaction(file_only) as connection:
            connection.execute(t.LISTENERS.update(), {"consumer": "former", "pid": 1})
        reader._listener.renew()
        assert listeners(file_only) == [(port, "reader", os.getpid())]


def test_a_stranger_at_the_door_only_makes_the_consumer_look(file_only: sa.Engine) -> None:
    looks: list[object] = []
    with consumer(file_only) as reader, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        reader.wait(0)
        sa.event.listen(file_only, "begin", looks.append)
        stranger.sendto(b"trade everything!" * 100, ("127.0.0.1", listeners(file_only)[0][0]))
        assert not reader.wait(0.1)
    assert len(looks) == 3


def test_listeners_are_reached_on_this_machine_only(file_only: sa.Engine) -> None:
    with consumer(file_only) as reader:
        reader.wait(0)
        assert reader._listener._socket.getsockname()[0] == "127.0.0.1"  # type: ignore[attr-defined]


def test_a_publisher_is_not_held_up_by_a_listener_that_never_listens(file_only: sa.Engine) -> None:
    """Its buffer is full after some thousand datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asleep:
        asleep.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        asleep.bind(("127.0.0.1", 0))
        row = {"port": asleep.getsockname()[1], "consumer": "asleep", "pid": os.getpid(), "at": NOW.now().isoformat()}
        with transaction(file_only) as connection:
            connection.execute(t.LISTENERS.insert(), row)
        for number in range(200):
            publish(file_only, [note(number)])
        assert select.select([asleep], [], [], 0)[0]
    assert listeners(file_only)[0][1] == "asleep"


# Forks


def test_a_forked_child_listens_for_itself_and_leaves_its_parent_alone(ledger_where: object, engine: sa.Engine) -> None:
    process = run("fork_and_listen(sys.argv[1])", ledger_where)
    assert sorted([heard(process), heard(process)]) == ["child ready", "parent ready"]
    if engine.dialect.name == "sqlite":
        assert len({(port, pid) for port, _, pid in listeners(engine)}) == 2
    publish(engine, [note("both")])
    assert [heard(process), heard(process)] == ["child woken ['both']", "parent woken ['both']"]
    assert heard(process) == "parent waits"
    publish(engine, [note("survivor")])
    assert ended(process) == ["parent woken ['survivor']"]
