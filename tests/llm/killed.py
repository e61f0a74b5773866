"""A process that does a piece of a batch's work and kills itself just before or just after a commit.

Each line on its standard input names a ledger file, the server's address, the work and a number: 1 dies before the first
transaction that wrote something commits, 2 after it, 3 before the second one, and so on. A fork of this process does it, so that
the libraries are loaded once. It answers with "died" or "done".
"""

import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pydantic_ai.models.anthropic
import pydantic_ai.providers.anthropic  # noqa: F401 - loaded before the forks
import sqlalchemy as sa

from resources.ledger.engine import open_ledger
from resources.llm import batches as module
from tests.llm.batched import MODEL, NOON, batches_of, judge, questions

QUESTIONS = 3


def work(path: str, address: str, what: str, moment: int) -> None:
    """Dies at the numbered moment; the ledger is opened before counting begins."""
    engine = open_ledger(Path(path), durability="FULL")
    moments, writing = count(1), [False]

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        writing[0] |= statement.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))

    def die(*_: Any) -> None:
        if writing[0] and next(moments) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def die_after(*_: Any) -> None:
        die()
        writing[0] = False

    sa.event.listen(engine, "before_cursor_execute", note)
    sa.event.listen(engine, "commit", die)
    sa.event.listen(engine.pool, "checkin", die_after)
    module._AT_ONCE = 2
    batches = batches_of(engine, address)
    if what == "submit":
        batches.submit("anthropic", MODEL, questions(QUESTIONS), as_of=NOON)
        return
    (waiting,) = batches.open()
    if what == "poll":
        batches.poll(waiting.id, as_of=NOON)
    else:
        batches.collect(waiting.id, judge, as_of=NOON)


def main() -> None:
    """Serves lines until the input ends."""
    for line in sys.stdin:
        path, address, what, moment = line.split()
        child = os.fork()
        if child == 0:
            work(path, address, what, int(moment))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write("died\n" if os.WIFSIGNALED(status) else "done\n" if status == 0 else "failed\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
