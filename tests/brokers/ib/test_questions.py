"""An answer counts when it is whole; an answer that comes too late never becomes half of the next."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from resources.brokers.ib.questions import Question, Questions, Refused


def run(work: Callable[[Questions], Awaitable[None]]) -> None:
    async def ran() -> None:
        await work(Questions())

    asyncio.run(ran())


def asked(questions: Questions, key: object, writes: list[str], *, numbered: bool = False) -> Question:
    return questions.ask(key, lambda: writes.append(str(key)), is_numbered=numbered)


def test_an_answer_is_its_rows_up_to_its_end() -> None:
    async def work(questions: Questions) -> None:
        writes: list[str] = []
        question = asked(questions, "positions", writes)
        questions.row("positions", 1)
        questions.row("positions", 2)
        questions.row("orders", 3)
        assert not question.answer.done()
        questions.end("positions")
        assert (await question.answer).rows == [1, 2]
        assert writes == ["positions"]

    run(work)


@pytest.mark.fault(37)
def test_rows_of_a_late_answer_never_mix_with_the_next() -> None:
    async def work(questions: Questions) -> None:
        writes: list[str] = []
        asked(questions, "positions", writes)
        questions.row("positions", "old 1")
        questions.drop("positions")
        second = asked(questions, "positions", writes)
        questions.row("positions", "old 2")
        questions.end("positions")
        assert not second.answer.done()
        assert len(writes) == 3
        questions.row("positions", "new 1")
        questions.row("positions", "new 2")
        questions.end("positions")
        assert (await second.answer).rows == ["new 1", "new 2"]

    run(work)


@pytest.mark.fault(37)
def test_an_answer_that_never_came_costs_one_more_question_and_no_more() -> None:
    async def work(questions: Questions) -> None:
        writes: list[str] = []
        asked(questions, "positions", writes)
        questions.drop("positions")
        for _ in range(3):
            question = asked(questions, "positions", writes)
            questions.end("positions")
            questions.row("positions", "whole")
            questions.end("positions")
            assert (await question.answer).rows == ["whole"]

    run(work)


def test_an_end_that_nobody_waits_for_is_harmless() -> None:
    async def work(questions: Questions) -> None:
        questions.end("positions")
        question = asked(questions, "positions", [])
        questions.end("positions")
        assert (await question.answer).rows == []

    run(work)


def test_a_numbered_question_has_no_doubt_about_its_end() -> None:
    async def work(questions: Questions) -> None:
        asked(questions, 7, [], numbered=True)
        questions.drop(7)
        second = asked(questions, 8, [], numbered=True)
        questions.row(7, "old")
        questions.end(7)
        questions.row(8, "new")
        questions.end(8)
        assert (await second.answer).rows == ["new"]

    run(work)


def test_a_refusal_is_no_empty_answer() -> None:
    async def work(questions: Questions) -> None:
        question = asked(questions, 7, [], numbered=True)
        questions.fail(7, Refused(321, "not valid"))
        questions.end(7)
        with pytest.raises(Refused, match="321: not valid"):
            await question.answer
        assert not questions.is_open(7)

    run(work)


def test_when_nothing_will_be_answered_everybody_hears_it() -> None:
    async def work(questions: Questions) -> None:
        waiting = [asked(questions, key, []) for key in ("positions", "orders")]
        questions.fail_all(ConnectionError("gone"))
        for question in waiting:
            with pytest.raises(ConnectionError):
                await question.answer

    run(work)
