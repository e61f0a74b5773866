"""Questions that wait for their answers: each has a key, rows that come in, and an end.

Some kinds of question carry no number on the wire. When one of them was not answered in time, its answer may still come, in the
middle of the next. So the first end that is heard after a lost answer is only a boundary: the rows before it are thrown away and
the question is asked again. Half of an old list never passes for a whole one.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Question:
    """One question; `answer` is done at its end."""

    answer: "asyncio.Future[Question]"
    again: Callable[[], None] | None = None
    rows: list[Any] = field(default_factory=list)


class Refused(Exception):
    """The broker answered a question with a code."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"{code}: {text}")


class Questions:
    """The questions of one connection."""

    def __init__(self) -> None:
        self._open: dict[Hashable, Question] = {}
        self._owed: Counter[Hashable] = Counter()

    def ask(self, key: Hashable, write: Callable[[], None], *, is_numbered: bool) -> Question:
        """Begins a question and writes it."""
        question = Question(asyncio.get_running_loop().create_future())
        if not is_numbered:
            self._owed[key] += 1
            question.again = write if self._owed[key] > 1 else None
        self._open[key] = question
        write()
        return question

    def is_open(self, key: Hashable) -> bool:
        """Whether somebody waits for the answer."""
        return key in self._open

    def row(self, key: Hashable, row: Any) -> None:
        """A part of an answer."""
        question = self._open.get(key)
        if question is not None:
            question.rows.append(row)

    def end(self, key: Hashable) -> None:
        """The end of an answer, or of one that is not waited for any more."""
        if key in self._owed:
            self._owed[key] = max(self._owed[key] - 1, 0)
        question = self._open.get(key)
        if question is None:
            return
        if question.again is not None:
            again, question.again = question.again, None
            question.rows.clear()
            self._owed[key] += 1
            again()
            return
        self.drop(key)
        if not question.answer.done():
            question.answer.set_result(question)

    def fail(self, key: Hashable, reason: Exception) -> None:
        """A question that will not be answered."""
        question = self._open.pop(key, None)
        if question is not None and not question.answer.done():
            question.answer.set_exception(reason)
            question.answer.exception()

    def fail_all(self, reason: Exception) -> None:
        """Nothing will be answered any more."""
        for key in list(self._open):
            self.fail(key, reason)

    def drop(self, key: Hashable) -> None:
        """Nobody waits for the answer any more."""
        self._open.pop(key, None)
