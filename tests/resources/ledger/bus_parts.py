"""Messages of the tests of the bus, and what other processes do with it; `run` starts one."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa
from hypothesis import strategies as st

from resources.clock import FixedClock
from resources.lake import ParquetLake
from resources.ledger.bus import Batch, Consumer, _statements, append_messages, publish, read_messages
from resources.ledger.engine import open_ledger, reading, transaction
from resources.ledger.wakeups import wake
from tests.resources.ledger.entries import DAYS, PROJECT, at
from trading_assets.core.messages import (
    Alert,
    BarClosed,
    Decided,
    Draft,
    Filled,
    Halted,
    Message,
    NewsArrived,
    Note,
    Payload,
    Wanted,
)

NOW = FixedClock(at(DAYS[10]))
EVERYTHING = Wanted()


def note(
    text: object, *, sender: str = "desk", to: str | None = None, book: str = "desk", day: date = DAYS[0]
) -> Draft:
    """Free words."""
    return Draft(book, day, at(DAYS[0]), sender, Note(text=str(text)), to)


def notes(count: int, **about: object) -> list[Draft]:
    """The notes 0, 1, 2 and so on."""
    return [note(number, **about) for number in range(count)]  # type: ignore[arg-type]


def texts(messages: Sequence[Message] | Batch) -> list[str]:
    """What the notes among them say."""
    return [message.draft.payload.text for message in messages if isinstance(message.draft.payload, Note)]


def opened(where: Path | str) -> sa.Engine:
    """The ledger at a place that another process was told as text."""
    text = str(where)
    return open_ledger(text if text.startswith("postgresql") else Path(text), durability="FULL")


def stored(engine: sa.Engine) -> list[str]:
    """Every note of the ledger in order."""
    with reading(engine) as connection:
        return texts(read_messages(connection, EVERYTHING, after=0, limit=10**6))


def run(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that runs `code` with this module's names; its arguments are in sys.argv[1:]."""
    program = f"from tests.resources.ledger.bus_parts import *; {code}"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=PROJECT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def heard(process: subprocess.Popen[str]) -> str:
    """The next line that it says."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise AssertionError(process.communicate()[1])
    return line


def tell(process: subprocess.Popen[str], line: str = "go") -> None:
    """Says a line to it."""
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def ended(process: subprocess.Popen[str]) -> list[str]:
    """What it still said; it must end well."""
    out, errors = process.communicate()
    if process.returncode:
        raise AssertionError(errors)
    return out.splitlines()


def say(line: object) -> None:
    """Prints at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def write(where: str, sender: str, count: int) -> None:
    """Publishes `count` notes, some alone and some together, gives a transaction up now and then, and waits for a word to begin."""
    engine = opened(where)
    say("ready")
    sys.stdin.readline()
    number = 0
    while number < count:
        some = min(1 + number % 3, count - number)
        publish(engine, [note(n, sender=sender) for n in range(number, number + some)])
        number += some
        if number % 7 == 0:
            give_up(engine)


def give_up(engine: sa.Engine) -> None:
    """Appends a note that is never committed."""
    with transaction(engine) as connection:
        append_messages(connection, [note("given up")])
        connection.rollback()


def answer(where: str, name: str, process: str, count: int) -> None:
    """Answers every note to `desk` in the transaction that handles it, until all processes together have answered `count`."""
    engine = opened(where)
    with Consumer(engine, name, clock=NOW, start="beginning", recipient="desk", look_every_s=0.2) as consumer:
        say("ready")
        while len([text for text in stored(engine) if text.startswith("answer")]) < count:
            consumer.wait(0.2)
            with consumer.batch(5) as batch:
                answers = [note(f"answer to {text}", sender=process, to="nobody") for text in texts(batch)]
                append_messages(batch.connection, answers)


def fork_and_listen(where: str) -> None:
    """A consumer and its forked child wait for the same message; the child ends, and the parent waits for another one."""
    reader = Consumer(opened(where), "parent", clock=NOW, start="beginning", look_every_s=600)
    reader.wait(0)
    child = os.fork()
    if not child:
        reader._name, reader._statements = "child", _statements("child", EVERYTHING)
        reader._begin("beginning")
        reader.wait(0)
    ears = Ears(reader)
    ears.says = "parent ready" if child else "child ready"
    reader.wait(20)
    told = f"{'woken' if ears.was_woken else 'by itself'} {took(reader)}"
    if not child:
        say(f"child {told}")
        os._exit(0)
    os.waitpid(child, 0)
    say(f"parent {told}")
    ears.says = "parent waits"
    reader.wait(20)
    say(f"parent {'woken' if ears.was_woken else 'by itself'} {took(reader)}")


class Ears:
    """Listens to how a consumer's waits end, and notices when it has looked and waits."""

    def __init__(self, reader: Consumer) -> None:
        self.was_woken = False
        self.waits = threading.Event()
        self.says = ""
        self._wait = reader._listener.wait
        reader._listener.wait = self.wait  # type: ignore[method-assign]

    def wait(self, seconds: float) -> bool:
        """In place of the listener's own."""
        if seconds > 0:
            self.waits.set()
            if self.says:
                say(self.says)
                self.says = ""
        self.was_woken = self._wait(seconds)
        return self.was_woken


def archive_and_die_step_by_step(where: str, root: str, stride: int) -> None:
    """On each word, a child archives and is killed some steps later than the last one; says so, or "done" when none was left."""
    from resources.ledger.archive import archive

    status, step = 1, 1 - stride
    while status:
        sys.stdin.readline()
        step += stride
        child = os.fork()
        if not child:
            engine, lake = opened(where), ParquetLake(Path(root))
            die_at(step, engine, root)
            archive(engine, lake, before=DAYS[-1], as_of=NOW.now(), silent_after=timedelta(days=7))
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        say("killed" if status == signal.SIGKILL else "done" if status == 0 else f"failed {status}")


def die_at(step: int, engine: sa.Engine, root: str) -> None:
    """The step-th file of the lake that is opened, renamed or removed, or statement or commit of the ledger, is the last."""
    seen = 0

    def count(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if event in {"open", "os.rename", "os.remove"} and str(arguments[0]).startswith(root):
            count()

    sys.addaudithook(audit)
    sa.event.listen(engine, "before_cursor_execute", count)
    sa.event.listen(engine, "commit", count)


def took(reader: Consumer) -> list[str]:
    """The notes of one batch."""
    with reader.batch(100) as batch:
        return texts(batch)


WORDS = st.text(st.characters(codec="utf-8"), max_size=40)
NAMES = st.sampled_from(["desk", "gateway", "watchdog", "risk gate", "é"])
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
INSTANTS = st.sampled_from([at(day) for day in DAYS[:4]]) | st.integers(10**9, 2 * 10**9).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)
AMOUNTS = st.decimals(min_value=0, max_value=Decimal(10**6), places=4)
PAYLOADS: st.SearchStrategy[Payload] = st.one_of(
    st.builds(Note, text=WORDS),
    st.builds(
        Alert, severity=st.sampled_from(["info", "warning", "critical"]), code=WORDS, sentence=WORDS, symbol=WORDS
    ),
    st.builds(Halted, halt_id=st.integers(0, 10**9), cause=WORDS),
    st.builds(NewsArrived, symbol=WORDS, news_id=WORDS, published=INSTANTS),
    st.builds(Decided, slot=WORDS, state=WORDS, reason=WORDS, plans=st.integers(0, 99), vetoes=st.integers(0, 99)),
    st.builds(
        Filled,
        fill_id=WORDS,
        order_id=WORDS,
        symbol=WORDS,
        side=WORDS,
        quantity=st.integers(1, 10**6),
        price=AMOUNTS,
        fee=AMOUNTS,
    ),
    st.builds(
        BarClosed,
        symbol=WORDS,
        start=INSTANTS,
        seconds=st.integers(1, 10**5),
        open=NUMBERS,
        high=NUMBERS,
        low=NUMBERS,
        close=NUMBERS,
        volume=NUMBERS,
    ),
)
DRAFTS = st.builds(
    Draft,
    book=st.sampled_from(["desk", "paper"]),
    session=st.sampled_from([*DAYS[:6], DAYS[3] + timedelta(days=1)]),
    at=INSTANTS,
    sender=NAMES,
    payload=PAYLOADS,
    recipient=st.none() | NAMES,
    correlation_id=st.sampled_from(["", "desk/2024-03-15/09:30"]),
    signature=st.none() | st.just("f" * 64),
)

__all__ = [
    "DRAFTS",
    "EVERYTHING",
    "INSTANTS",
    "NAMES",
    "NOW",
    "Consumer",
    "Ears",
    "answer",
    "append_messages",
    "archive_and_die_step_by_step",
    "ended",
    "fork_and_listen",
    "give_up",
    "heard",
    "note",
    "notes",
    "opened",
    "publish",
    "run",
    "say",
    "stored",
    "sys",
    "tell",
    "texts",
    "took",
    "transaction",
    "wake",
    "write",
]
