"""A process that dies before or after any commit of a batch's work loses nothing and doubles nothing."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.ledger.engine import open_ledger
from resources.llm.batches import Batches, BatchTicket
from tests.llm.actions import answer
from tests.llm.batched import MODEL, NOON, balanced, batches_of, brought_home, calls, questions, recorded, spent
from tests.llm.killed import QUESTIONS
from tests.llm.opened import GOOD
from tests.llm.server import ModelServer

PROJECT = Path(__file__).parents[2]
Dying = Callable[[Path, str, str, int], str]


@pytest.fixture(scope="module")
def dying() -> Iterator[Dying]:
    """Does a piece of work in another process, which dies at the numbered moment."""
    command = [sys.executable, "-m", "tests.llm.killed"]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def die(path: Path, address: str, what: str, moment: int) -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{path} {address} {what} {moment}\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        yield die


def in_order(engine: sa.Engine, models: ModelServer) -> None:
    """Every question was asked once, paid once and recorded, and the two bills agree."""
    assert [one is not None for one in recorded(engine, QUESTIONS)] == [True] * QUESTIONS
    assert sum(call.outcome == "ok" for call in calls(engine)) == QUESTIONS
    assert len(models.batches.made) == 1
    assert spent(engine) == models.charged
    assert balanced(engine)


def stages(path: Path, models: ModelServer, what: str) -> Batches:
    """A ledger in which the batch has come as far as the work that is about to die."""
    batches = batches_of(open_ledger(path, durability="FULL"), models.url("anthropic"))
    if what != "submit":
        ticket = batches.submit("anthropic", MODEL, questions(QUESTIONS), as_of=NOON)
        assert isinstance(ticket, BatchTicket)
        if what == "collect":
            batches.poll(ticket.id, as_of=NOON)
    return batches


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger file at head, to be copied."""
    path = tmp_path_factory.mktemp("fresh") / "ledger.sqlite"
    open_ledger(path, durability="FULL").dispose()
    return path


@pytest.mark.fault(2)
@pytest.mark.parametrize(("what", "commits"), [("submit", 4), ("poll", 1), ("collect", 3)])
def test_whoever_dies_around_any_commit_leaves_work_that_another_process_finishes(
    dying: Dying, fresh: Path, tmp_path: Path, what: str, commits: int
) -> None:
    for moment in range(1, 2 * commits + 2):
        path = Path(shutil.copy(fresh, tmp_path / f"{moment}.sqlite"))
        with ModelServer() as models:
            models.script("anthropic", answer(GOOD, input_tokens=1_000, output_tokens=100))
            batches = stages(path, models, what)
            ending = dying(path, models.url("anthropic"), what, moment)
            assert ending == ("died" if moment <= 2 * commits else "done")
            brought_home(batches, questions(QUESTIONS))
            engine = open_ledger(path, durability="FULL")
            in_order(engine, models)
            engine.dispose()
