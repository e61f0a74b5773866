"""The ensemble: what each persona's vote counts, and what the votes on one idea come to.

A persona starts at weight 1. After each session counts what it earned over the trades that closed in the last five sessions: the
sum of profit times its vote, so that a vote for a winner and a vote against a loser earn, and a strong vote earns more. More than
nothing multiplies the weight by 1.1 up to 2, less than nothing by 0.9 down to 0.3. Only trades closed before the session count.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from trading_assets.core.calendar import XNYS
from trading_assets.core.money import PLACES
from trading_assets.plans.model import Candidate, Vote
from trading_assets.theses.memory.model import Lesson

START, RAISED, LOWERED = 1.0, 1.1, 0.9
HIGHEST, LOWEST = 2.0, 0.3
WINDOW_SESSIONS = 5
ROUNDED = 6
_UNITS, _VOTE_UNITS = 10**PLACES, 10**ROUNDED


@dataclass(frozen=True, slots=True)
class Tally:
    """The votes on one idea by persona, and their weighted mean; no mean when nobody voted."""

    votes: Mapping[str, float]
    consensus: float | None


def persona_weights(personas: Sequence[str], lessons: Sequence[Lesson], session: date) -> Mapping[str, float]:
    """What each persona's vote counts in a session: 0.3 to 2, rounded to 6 places."""
    earned: dict[str, dict[int, int]] = {persona: {} for persona in personas}
    for lesson in lessons:
        if lesson.session < session:
            day = bisect_left(XNYS.days, lesson.session)
            for persona in personas:
                earned[persona][day] = earned[persona].get(day, 0) + attributed(persona, lesson)
    today = bisect_left(XNYS.days, session)
    return {persona: _weight(earned[persona], today) for persona in personas}


def tally(legs: Sequence[Candidate], votes: Sequence[Vote], weights: Mapping[str, float]) -> Tally:
    """What the personas make of one idea. On a pair, a persona's vote is the mean of its votes on both legs, if it gave both.

    Who has no weight does not count; of two votes of one persona on one candidate the first counts.
    """
    said: dict[tuple[str, tuple[str, str, str]], float] = {}
    for vote in votes:
        said.setdefault((vote.persona, vote.key), vote.vote)
    counted = {persona: [said.get((persona, leg.key)) for leg in legs] for persona in sorted(weights)}
    heard = {
        persona: round(sum(given) / len(given), ROUNDED)
        for persona, found in counted.items()
        if len(given := [vote for vote in found if vote is not None]) == len(legs)
    }
    if not heard:
        return Tally({}, None)
    total = sum(weights[persona] for persona in heard)
    return Tally(heard, round(sum(weights[p] * vote for p, vote in heard.items()) / total, ROUNDED))


def attributed(persona: str, lesson: Lesson) -> int:
    """Profit times vote, exact, in units of 1e-10 USD; nothing where it did not vote."""
    vote = lesson.votes.get(persona)
    return int(lesson.pnl * _UNITS) * round(vote * _VOTE_UNITS) if vote else 0


def _weight(earned: Mapping[int, int], today: int) -> float:
    """The weight after every session before `today` whose window holds a closed trade; sessions by their place in the calendar."""
    judged = {day + ahead for day in earned for ahead in range(WINDOW_SESSIONS)}
    weight, window, summed = START, 0, deque[tuple[int, int]]()
    for day in sorted(day for day in judged if day < today):
        while summed and summed[0][0] <= day - WINDOW_SESSIONS:
            window -= summed.popleft()[1]
        if day in earned:
            summed.append((day, earned[day]))
            window += earned[day]
        if window > 0:
            weight = min(HIGHEST, weight * RAISED)
        elif window < 0:
            weight = max(LOWEST, weight * LOWERED)
    return round(weight, ROUNDED)
