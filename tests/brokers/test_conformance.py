"""Both brokers, one behaviour: every numbered case on each member."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from tests.brokers.conformance import CANNOT_MAX, CASES, FAULTS, play
from tests.brokers.ib_stage import ib_stage
from tests.brokers.stage import Stage

Opened = AbstractAsyncContextManager[Stage]


@asynccontextmanager
async def _ib(_: Path) -> AsyncIterator[Stage]:
    async with ib_stage() as stage:
        yield stage


@asynccontextmanager
async def _paper(folder: Path) -> AsyncIterator[Stage]:
    from tests.brokers.paper.stage import paper_stage

    async with paper_stage(folder) as stage:
        yield stage


MEMBERS: dict[str, Callable[[Path], Opened]] = {"ib": _ib, "paper": _paper}


@pytest.mark.parametrize(
    "number", [pytest.param(one, marks=[pytest.mark.fault(n) for n in FAULTS.get(one, ())]) for one in CASES]
)
@pytest.mark.parametrize("member", MEMBERS)
def test_a_broker_does_what_every_broker_does(member: str, number: str, tmp_path: Path) -> None:
    async def played() -> str:
        async with MEMBERS[member](tmp_path) as stage:
            if number in stage.cannot:
                return stage.cannot[number]
            await play(stage, number)
            return ""

    reason = asyncio.run(played())
    if reason:
        pytest.skip(f"{member}: {reason}")


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_says_why_it_cannot_show_a_case_and_may_say_so_twice(member: str, tmp_path: Path) -> None:
    async def said() -> dict[str, str]:
        async with MEMBERS[member](tmp_path) as stage:
            return dict(stage.cannot)

    cannot = asyncio.run(said())
    assert len(cannot) <= CANNOT_MAX
    assert set(cannot) <= set(CASES)
    assert all(reason.strip() for reason in cannot.values())


def test_a_fault_is_claimed_by_a_case_that_exists() -> None:
    assert set(FAULTS) <= set(CASES)


def test_the_numbers_are_a_row_without_a_gap() -> None:
    assert list(CASES) == [f"B{number:02d}" for number in range(1, len(CASES) + 1)]
