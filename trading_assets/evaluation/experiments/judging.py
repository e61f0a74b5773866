"""Where an experiment stands: a pure function of its design and of the record, whoever asks and however often.

Looks stand at the ends of blocks, fixed by the counts of the design and not by the evening on which somebody looks: a missed
evening changes nothing. Between looks the numbers of the last one are shown, and before the first none, so that nobody can stop on
a lucky day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from math import isfinite
from typing import Any

from trading_assets.core.calendar import XNYS, Calendar
from trading_assets.core.parameters import Tuned
from trading_assets.evaluation.experiments.assignment import assignment, blocks_of, sessions_of
from trading_assets.evaluation.experiments.boundaries import Spending
from trading_assets.evaluation.experiments.measures import Measured
from trading_assets.evaluation.experiments.model import CONTROL, Design, Ended, Registered, Verdict
from trading_assets.evaluation.experiments.randomization import REDRAWS, Compared, Look, Observed, compared

_DECIMALS = 6
_UNIT = {"bp": "basis points", "usd": "USD"}


@dataclass(frozen=True, slots=True)
class Standing:
    """An arm beside control after a session.

    Args:
        next_look: Sessions of each arm at the next look; 0 after the last.
        look: Looks taken.
        estimate: Arm less control at the last look; None before the first. `low` and `high` are None where they are infinite.
        decided: The session after which the verdict stood; None while there is none.
    """

    experiment: str
    arm: str
    measure: str
    session: date
    assigned: str
    observations: int
    observations_control: int
    next_look: int
    look: int
    looks: int
    estimate: float | None
    low: float | None
    high: float | None
    level: float
    verdict: Verdict | None
    decided: date | None
    sentence: str

    @property
    def row(self) -> dict[str, Any]:
        """The row of EXPERIMENT_RESULTS."""
        return {
            "session": self.session,
            "experiment": self.experiment,
            "arm": self.arm,
            "measure": self.measure,
            "assigned": self.assigned,
            "observations": self.observations,
            "observations_control": self.observations_control,
            "sessions_next_look": self.next_look,
            "look": self.look,
            "looks": self.looks,
            "estimate": self.estimate,
            "low": self.low,
            "high": self.high,
            "level": self.level,
            "verdict": self.verdict or "",
            "sentence": self.sentence,
            "knowable_at": XNYS.session(self.session).close,
        }


@dataclass(frozen=True, slots=True)
class _Pair:
    """Results of one arm and of control, in order, with the looks that are due on them."""

    observed: Observed
    looks: tuple[tuple[int, Look, date], ...]
    over: bool

    @property
    def counts(self) -> tuple[int, int]:
        """Results of the arm, and of control."""
        treated = sum(self.observed.treated)
        return treated, len(self.observed.treated) - treated


def standings(
    registered: Registered,
    measured: Measured,
    last: date,
    *,
    calendar: Calendar = XNYS,
    broken: date | None = None,
    redraws: int = REDRAWS,
) -> tuple[Standing, ...]:
    """Each arm beside control after a session, as the record up to it has them.

    Args:
        last: The session.
        broken: The session from which a parameter under test was moved by something else; its results and later ones do not count.
    """
    design, ended = registered.design, registered.ended
    until = min(last, measured.final) if ended is None else min(last, measured.final, ended.session)
    if broken is not None and broken <= until:
        until = calendar.previous(broken).day
    assigned = assignment(design, calendar).get(last, "") if ended is None or last <= ended.session else ""
    return tuple(
        _standing(design, arm, measured, until, last, assigned, ended, broken, calendar, redraws)
        for arm in design.draft.treatments
    )


def verdict_of(standing: Sequence[Standing]) -> tuple[Verdict, date, str] | None:
    """What ends an experiment: a first arm that differs, or all arms at their last look; None while it goes on."""
    found = [(each.verdict, each.decided, each.sentence) for each in standing if each.verdict and each.decided]
    told = [each for each in found if each[0] in {"better", "worse", "broken"}]
    if not told and len(found) < len(standing):
        return None
    verdict, decided, _ = min(told or found, key=lambda each: each[1])
    return verdict, decided, " ".join(each.sentence for each in standing)


def moved_from(design: Design, tuned: Tuned, last: date, *, calendar: Calendar = XNYS) -> date | None:
    """The first session up to `last` on which a parameter under test had another value than the design began with.

    Arms are left out: what remains is the configuration and what was approved.
    """
    without = Tuned(tuned.base, tuned.changes)
    for session in calendar.sessions(design.first, last) if design.first <= last else ():
        values = without.at(session.day)
        if any(getattr(values, name) != value for name, value in design.base.items()):
            return session.day
    return None


def _standing(
    design: Design,
    arm: str,
    measured: Measured,
    until: date,
    last: date,
    assigned: str,
    ended: Ended | None,
    broken: date | None,
    calendar: Calendar,
    redraws: int,
) -> Standing:
    draft = design.draft
    pair, found = _judged(design, arm, _pair(design, arm, measured.counted, until, calendar), redraws)
    treated, control = pair.counts
    taken = pair.looks[-1][0] if pair.looks else 0
    verdict, decided = _verdict(design, pair, found, last)
    if ended is not None and verdict is None:
        verdict, decided = ended.verdict if ended.verdict in {"stopped", "broken"} else "undecided", ended.session
    if broken is not None and verdict is None:
        verdict, decided = "broken", calendar.previous(broken).day
    following = 0 if verdict or taken >= len(draft.look_sizes) else draft.look_sizes[taken]
    return Standing(
        experiment=design.id,
        arm=arm,
        measure=draft.measure,
        session=last,
        assigned=assigned,
        observations=treated,
        observations_control=control,
        next_look=following,
        look=taken,
        looks=draft.looks,
        estimate=_shown(found.estimate) if found else None,
        low=_shown(found.low) if found else None,
        high=_shown(found.high) if found else None,
        level=round(1 - draft.level, _DECIMALS),
        verdict=verdict,
        decided=decided,
        sentence=_sentence(design, arm, pair, found, verdict, following),
    )


def _pair(design: Design, arm: str, values: Mapping[date, float], until: date, calendar: Calendar) -> _Pair:
    """The results of two arms block by block, and the looks that they are enough for."""
    dealt, sizes = assignment(design, calendar), design.draft.look_sizes
    kept: list[tuple[float, bool, int]] = []
    looks: list[tuple[int, Look, date]] = []
    taken = 0
    for number, block in enumerate(blocks_of(design, calendar)):
        kept += [
            (values[day], dealt[day] == arm, number)
            for day in block
            if dealt[day] in {arm, CONTROL} and day in values and day <= until
        ]
        if block[-1] > until or taken == len(sizes):
            break
        reached = _reached(sizes, kept)
        if reached > taken:
            looks.append((reached, Look(len(kept), sizes[reached - 1] / sizes[-1]), block[-1]))
            taken = reached
    over = until >= sessions_of(design, calendar)[-1]
    if over and taken < len(sizes) and _reached(sizes, kept):
        looks = [*(each for each in looks if each[1].results < len(kept)), (len(sizes), Look(len(kept), 1.0), until)]
    observed = Observed(tuple(k[0] for k in kept), tuple(k[1] for k in kept), tuple(k[2] for k in kept))
    return _Pair(observed, tuple(looks), over)


def _reached(sizes: Sequence[int], kept: Sequence[tuple[float, bool, int]]) -> int:
    """The last look, from 1, that so many results are enough for; an arm with less than half of its share is not judged."""
    treated = sum(1 for _, under, _ in kept if under)
    fewest = min(treated, len(kept) - treated)
    return sum(1 for size in sizes if len(kept) >= 2 * size and fewest >= size / 2)


def _judged(design: Design, arm: str, pair: _Pair, redraws: int) -> tuple[_Pair, Compared | None]:
    """What the looks say; what came after the one that decided is left out."""
    if not pair.looks:
        return pair, None
    draft = design.draft
    seed = int(design.digest[:12], 16) + draft.treatments.index(arm)

    def judge(looks: Sequence[tuple[int, Look, date]]) -> Compared:
        seen = pair.observed.first(looks[-1][1].results)
        plan = tuple(look for _, look, _ in looks)
        return _compared(seen, plan, draft.level, draft.spending, seed, redraws)

    found = judge(pair.looks)
    if not 0 < found.crossed < len(pair.looks):
        return pair, found
    decisive = pair.looks[: found.crossed]
    return replace(pair, looks=decisive), judge(decisive)


@lru_cache(64)
def _compared(
    observed: Observed, looks: tuple[Look, ...], level: float, spending: Spending, seed: int, redraws: int
) -> Compared:
    """The numbers of a look are made once, however many evenings show them."""
    return compared(observed, looks, level=level, spending=spending, seed=seed, redraws=redraws)


def _verdict(design: Design, pair: _Pair, found: Compared | None, last: date) -> tuple[Verdict | None, date | None]:
    if found is not None and found.crossed:
        wanted = found.estimate > 0 if design.draft.better == "higher" else found.estimate < 0
        return "better" if wanted else "worse", pair.looks[found.crossed - 1][2]
    if pair.looks and pair.looks[-1][0] == len(design.draft.look_sizes):
        return "no_difference", pair.looks[-1][2]
    return ("undecided", last) if pair.over else (None, None)


def _sentence(
    design: Design, arm: str, pair: _Pair, found: Compared | None, verdict: Verdict | None, following: int
) -> str:
    draft, (treated, control) = design.draft, pair.counts
    unit = _UNIT[draft.measure.rsplit("_", 1)[1]]
    told = f"{arm}: {treated} sessions, control: {control}. "
    numbers = "" if found is None else f"{draft.measure} {found.estimate:+.2f} {unit}, {_between(found)}. "
    if verdict in {"better", "worse"}:
        return f"{told}{numbers}The arm is {verdict} than control."
    if verdict == "no_difference":
        return f"{told}{numbers}No difference was shown; {draft.smallest_effect:g} was looked for."
    if verdict == "undecided":
        return f"{told}{numbers}Its time is over with too few sessions of an arm; nothing can be said."
    if verdict is not None:
        return f"{told}{numbers}It was {verdict}."
    if found is None:
        return f"not yet: {min(treated, control)} of {following} sessions of each arm."
    return f"{told}{numbers}Undecided at look {pair.looks[-1][0]} of {draft.looks}; the next is at {following} each."


def _between(found: Compared) -> str:
    low, high = (f"{edge:+.2f}" if isfinite(edge) else "any" for edge in (found.low, found.high))
    return f"{100 * found.level:.4g} % interval {low} to {high}"


def _shown(value: float) -> float | None:
    return round(value, _DECIMALS) if isfinite(value) else None
