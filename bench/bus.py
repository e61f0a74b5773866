"""The bus between processes: `python -m bench.bus [--json] [--messages N] [--each N] [--folder PATH]`.

First, publish -> receive: one process publishes a message of about 200 bytes every 5 ms, another one waits, and the time runs from
before the transaction begins until the message is in the hands of the code that would handle it. Beside it, in the same way, a pipe
that stores nothing (the floor), Redis streams, and the bare commit of one row. Second, four processes publish at once, each message
in a transaction of its own, while a fifth reads by id: every message must arrive once, in the order of its sender.

PostgreSQL and Redis are started for the measurement on 127.0.0.1 and stopped after it; where one is not installed, its figures are
replaced by the reason. Milliseconds.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.timing import emit
from resources.clock import FixedClock
from resources.ledger.bus import Consumer, append_messages, follow, publish
from resources.ledger.engine import Durability, open_ledger, transaction
from trading_assets.core.calendar import XNYS
from trading_assets.core.messages import Draft, Note, Wanted

PAUSE_S, WRITERS, PADDING = 0.005, 4, "." * 150
DAY = XNYS.days[-1]
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
CLOCK = FixedClock(NOW)
PROJECT = Path(__file__).parents[1]
REDIS_POLICIES = ("no", "everysec", "always")
Publish = Callable[[str], object]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints one JSON line."""
    parser = argparse.ArgumentParser(description="Latency and throughput of the bus between processes.")
    parser.add_argument("--json", action="store_true", help="accepted; the output is one JSON line anyway")
    parser.add_argument("--messages", type=int, default=1_000, help="messages for each latency")
    parser.add_argument("--each", type=int, default=10_000, help="messages of each of four writers")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    options = parser.parse_args(arguments)
    figures: dict[str, Any] = {"bench": "bus", "messages": options.messages, "each_of_four_writers": options.each}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        figures |= _pipe(options.messages)
        durabilities: tuple[Durability, ...] = ("NORMAL", "FULL")
        for durability in durabilities:
            where = str(folder / f"{durability}.sqlite")
            figures |= _ledger(f"sqlite_{durability.lower()}", where, durability, options.messages, options.each)
        figures |= _postgresql(options.messages, options.each)
        figures |= _redis(folder, options.messages)
    emit(figures)


def _ledger(name: str, where: str, durability: Durability, messages: int, each: int) -> Mapping[str, Any]:
    engine = _opened(where, durability)
    commits = [_ms(partial(_commit_one, engine)) for _ in range(messages)]
    receiver = _process("receive", where, durability, str(messages))
    figures = {
        **_quantiles(f"{name}_commit_only", commits),
        **_latency(f"{name}_publish_receive", receiver, lambda text: publish(engine, [_note("bench", text)]), messages),
        **_crowd(name, where, durability, each),
    }
    engine.dispose()
    return figures


def _crowd(name: str, where: str, durability: Durability, each: int) -> Mapping[str, Any]:
    """Four writers at once and one reader; raises when a message is lost, doubled, or out of its sender's order."""
    engine = _opened(where, durability)
    writers = [_process("write", where, durability, f"writer {n}", str(each)) for n in range(WRITERS)]
    for writer in writers:
        _heard(writer)
    counts = {f"writer {n}": 0 for n in range(WRITERS)}
    begun = time.perf_counter()
    for writer in writers:
        _told(writer, "go")
    for message in follow(engine, Wanted(recipient="crowd"), after=0, name="bench", clock=CLOCK):
        note, sender = message.draft.payload, message.draft.sender
        if sender not in counts:
            continue
        if not isinstance(note, Note) or note.text != str(counts[sender]):
            raise RuntimeError(f"{sender} said {note} where its message {counts[sender]} was due")
        counts[sender] += 1
        if sum(counts.values()) == WRITERS * each:
            break
    seconds = time.perf_counter() - begun
    waited = [json.loads(_heard(writer)) for writer in writers]
    for writer in writers:
        writer.communicate()
    engine.dispose()
    return {
        f"{name}_four_writers_messages_per_s": round(WRITERS * each / seconds),
        f"{name}_four_writers_publish_ms_p99": round(max(waited), 3),
        f"{name}_four_writers_lost": WRITERS * each - sum(counts.values()),
    }


def _pipe(messages: int) -> Mapping[str, float]:
    """The floor: nothing is stored."""
    receiver = _process("read_pipe", str(messages))
    return _latency("pipe", receiver, partial(_told, receiver), messages)


def _postgresql(messages: int, each: int) -> Mapping[str, Any]:
    from tests.postgres import NoServer, Server

    try:
        server = Server()
        server.start()
    except NoServer as why:
        return {"postgresql_skipped": str(why)}
    try:
        return _ledger("postgresql", server.url(), "FULL", messages, each)
    finally:
        server.close()


def _redis(folder: Path, messages: int) -> Mapping[str, Any]:
    program = shutil.which("redis-server")
    if program is None:
        return {"redis_skipped": "redis-server is not installed"}
    figures: dict[str, Any] = {}
    for policy in REDIS_POLICIES:
        with _redis_server(program, folder / policy, policy) as port, Resp(port) as redis:
            receiver = _process("read_stream", str(port), str(messages))
            add: Publish = lambda text, redis=redis: redis.call("XADD", "bus", "*", "text", text)  # type: ignore[misc]  # noqa: E731
            figures |= _latency(f"redis_{'no_file' if policy == 'no' else policy}", receiver, add, messages)
    return figures


@contextmanager
def _redis_server(program: str, folder: Path, policy: str) -> Iterator[int]:
    """A server with an append-only file that is synced as the policy says; "no" keeps no file at all."""
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    file = ["--appendonly", "no"] if policy == "no" else ["--appendonly", "yes", "--appendfsync", policy]
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder), *file]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - a program of this machine
    try:
        _until_it_answers(port)
        yield port
    finally:
        server.terminate()
        server.wait()


def _until_it_answers(port: int) -> None:
    for _ in range(200):
        try:
            with Resp(port) as redis:
                redis.call("PING")
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError("redis-server does not answer")


class Resp:
    """As much of Redis's protocol as streams need, over a plain socket."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")

    def __enter__(self) -> "Resp":
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self._socket.close()

    def call(self, *words: str) -> Any:
        """Sends a command and returns its answer."""
        parts = [f"*{len(words)}\r\n".encode()]
        parts += [b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words]
        self._socket.sendall(b"".join(parts))
        return self._answer()

    def _answer(self) -> Any:
        line = self._answers.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"*":
            return [self._answer() for _ in range(int(rest))]
        if kind == b"$":
            return None if rest == b"-1" else self._answers.read(int(rest) + 2)[:-2].decode()
        if kind in {b"+", b":"}:
            return rest.decode()
        raise RuntimeError(f"redis answered {line!r}")


# What the other processes do


def receive(where: str, durability: Durability, messages: str) -> None:
    """Says for each message how long it was under way."""
    took: list[float] = []
    engine = _opened(where, durability)
    with Consumer(engine, "bench", clock=CLOCK, start="end", recipient="bench") as consumer:
        consumer.wait(0)
        _say("ready")
        while len(took) < int(messages):
            consumer.wait(60)
            with consumer.batch(100) as batch:
                took += [_since(m.draft.payload.text) for m in batch if isinstance(m.draft.payload, Note)]
    _say(json.dumps(took))


def read_pipe(messages: str) -> None:
    """Says for each line how long it was under way."""
    _say("ready")
    _say(json.dumps([_since(sys.stdin.readline()) for _ in range(int(messages))]))


def read_stream(port: str, messages: str) -> None:
    """Says for each entry of a stream how long it was under way."""
    last, took = "0", list[float]()
    with Resp(int(port)) as redis:
        _say("ready")
        while len(took) < int(messages):
            ((_, entries),) = redis.call("XREAD", "BLOCK", "0", "STREAMS", "bus", last)
            took += [_since(fields[1]) for _, fields in entries]
            last = entries[-1][0]
    _say(json.dumps(took))


def write(where: str, durability: Durability, sender: str, count: str) -> None:
    """Publishes as fast as it can and says the 99th percentile of what one publication took."""
    engine = _opened(where, durability)
    _say("ready")
    sys.stdin.readline()
    took = [_ms(partial(publish, engine, [_note("crowd", str(n), sender)])) for n in range(int(count))]
    _say(json.dumps(_quantile(took, 0.99)))


def _latency(name: str, receiver: subprocess.Popen[str], send: Publish, messages: int) -> Mapping[str, float]:
    _heard(receiver)
    for _ in range(messages):
        time.sleep(PAUSE_S)
        send(f"{time.perf_counter_ns()} {PADDING}")
    took = json.loads(_heard(receiver))
    receiver.communicate()
    return _quantiles(name, took)


def _opened(where: str, durability: Durability) -> sa.Engine:
    place = where if where.startswith("postgresql") else Path(where)
    return open_ledger(place, durability=durability, busy_timeout_ms=60_000)


def _note(recipient: str, text: str, sender: str = "bench") -> Draft:
    return Draft("desk", DAY, NOW, sender, Note(text=text), recipient)


def _commit_one(engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        append_messages(connection, [_note("nobody", PADDING)])


def _process(function: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process that runs a function of this module."""
    code = f"import sys; from bench.bus import {function}; {function}(*sys.argv[1:])"
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, cwd=PROJECT, env=os.environ, stdin=pipe, stdout=pipe, text=True)  # noqa: S603 - our own module


def _heard(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise RuntimeError(f"a process of the benchmark ended with {process.wait()}")
    return line


def _told(process: subprocess.Popen[str], line: str) -> None:
    if process.stdin:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _since(text: str) -> float:
    """Milliseconds since the moment that the text begins with; the counter is one for all processes of the machine."""
    return (time.perf_counter_ns() - int(text.split(maxsplit=1)[0])) / 1e6


def _ms(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000


def _quantiles(name: str, took: Sequence[float]) -> Mapping[str, float]:
    return {f"{name}_ms_p50": round(_quantile(took, 0.5), 3), f"{name}_ms_p99": round(_quantile(took, 0.99), 3)}


def _quantile(took: Sequence[float], share: float) -> float:
    return sorted(took)[min(int(len(took) * share), len(took) - 1)]


if __name__ == "__main__":
    main()
