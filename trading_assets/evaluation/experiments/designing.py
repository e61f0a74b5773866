"""From a draft to a design, or to every reason why not.

Everything that could make the result worthless is refused before the first session: an arm that changes nothing or leaves the
bounds, two experiments on one parameter, a promise of power that the planned sessions cannot keep.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import product
from math import ceil
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trading_assets.core.calendar import NEW_YORK, Calendar
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.parameters import BOUNDS, Parameters
from trading_assets.core.strict_yaml import load_model
from trading_assets.evaluation.experiments.boundaries import boundaries, crossing, drift_for
from trading_assets.evaluation.experiments.model import Design, Draft, Registered, running_only

SPREAD_SESSIONS_MIN = 40
_SAME = 1e-12


def load_draft(path: Path) -> Draft:
    """A draft from a YAML file; ConfigurationError names what is wrong."""
    return load_model(path, Draft)


def draft_of(given: Mapping[str, Any]) -> Draft:
    """A draft from values.

    Raises:
        PermanentFailure: what is wrong, value by value.
    """
    try:
        return Draft.model_validate(given)
    except ValidationError as invalid:
        problems = (f"{'.'.join(map(str, e['loc'])) or 'draft'}: {e['msg']}" for e in invalid.errors())
        raise PermanentFailure("this is no draft of an experiment: " + "; ".join(problems)) from invalid


def sessions_needed(draft: Draft, spread: float) -> int:
    """Sessions of each arm for the draft's power at its smallest effect.

    The difference of two means of n sessions has variance 2 spread² / n; the drift that the boundaries need for the power says
    how many of its standard deviations the effect must be.
    """
    bounds = boundaries(draft.spending, draft.level, draft.fractions)
    drift = drift_for(draft.power, bounds, draft.fractions)
    return ceil(2 * (spread * drift / draft.smallest_effect) ** 2)


def power_at(draft: Draft, spread: float, effect: float) -> float:
    """How often an effect would be found with the planned sessions."""
    bounds = boundaries(draft.spending, draft.level, draft.fractions)
    return crossing(bounds, draft.fractions, effect / spread * (draft.look_sizes[-1] / 2) ** 0.5)


def first_session(now: datetime, calendar: Calendar) -> date:
    """The next session that has not opened: a session that began under one arm is never counted for another."""
    today = calendar.today(now)
    return today.day if today is not None and now < today.open else calendar.next(now.astimezone(NEW_YORK).date()).day


def design_of(
    draft: Draft,
    *,
    parameters: Parameters,
    record: Sequence[float],
    registered: Sequence[Registered],
    seed: str,
    now: datetime,
    calendar: Calendar,
) -> Design:
    """The design, ready to be stored.

    Args:
        parameters: In force without any arm.
        record: The measure session by session before now, for the spread where the draft names none.
        registered: Every experiment of the book.
        seed: The journal's newest hash.

    Raises:
        PermanentFailure: every reason against it, in one sentence each.
    """
    problems = [*_wrong_arms(draft, parameters), *_in_the_way(draft, parameters, running_only(registered))]
    if any(each.design.id == draft.id for each in registered):
        problems.append(f"an experiment {draft.id} is on record already; a new one needs a new id")
    spread = draft.spread if draft.spread is not None else _spread_of(record)
    if spread is None:
        problems.append(
            f"the record has {len(record)} sessions of {draft.measure}, and {SPREAD_SESSIONS_MIN} that vary are needed to "
            "tell its spread: name a spread"
        )
    needed = 0 if spread is None else sessions_needed(draft, spread)
    if needed > draft.look_sizes[-1]:
        problems.append(
            f"a difference of {draft.smallest_effect:g} at a spread of {spread:.4g} needs {needed} sessions of each arm for a "
            f"power of {draft.power:g}, and the draft ends at {draft.look_sizes[-1]}: more sessions, a larger effect or less power"
        )
    if problems or spread is None:
        hint = "change the draft, then desk experiment start"
        raise PermanentFailure(f"experiment {draft.id} cannot begin: " + "; ".join(problems), hint=hint)
    return Design(
        draft=draft,
        first=first_session(now, calendar),
        seed=seed,
        base={name: float(getattr(parameters, name)) for name in draft.parameters},
        spread=float(spread),
        spread_sessions=0 if draft.spread is not None else len(record),
        sessions_needed=needed,
    )


def _wrong_arms(draft: Draft, parameters: Parameters) -> Iterator[str]:
    """Unknown parameters, values outside their bounds, and arms that change nothing."""
    for arm in draft.treatments:
        values = draft.arms[arm]
        unknown = sorted(values.keys() - BOUNDS.keys())
        if unknown:
            yield f"arm {arm} moves {', '.join(unknown)}, which cannot be tuned (only {', '.join(BOUNDS)})"
            continue
        yield from (
            f"arm {arm} sets {name} to {value:g}, outside {BOUNDS[name].low:g} to {BOUNDS[name].high:g}"
            for name, value in sorted(values.items())
            if not BOUNDS[name].low <= value <= BOUNDS[name].high
        )
        if all(abs(getattr(parameters, name) - value) <= _SAME for name, value in values.items()):
            yield f"arm {arm} changes nothing: it has the values in force"
    tried = [tuple(sorted(draft.arms[arm].items())) for arm in draft.treatments]
    if len(set(tried)) < len(tried):
        yield "two arms are the same"


def _in_the_way(draft: Draft, parameters: Parameters, running: Sequence[Registered]) -> Iterator[str]:
    """Running experiments on the same parameter, and combinations of arms that no parameters allow."""
    clear = True
    for other in running:
        both = sorted({*draft.parameters} & {*other.design.draft.parameters})
        if both:
            clear = False
            yield f"experiment {other.design.id} already moves {', '.join(both)}"
    if clear:
        yield from impossible(parameters, [draft, *(other.design.draft for other in running)])


def impossible(parameters: Parameters, drafts: Sequence[Draft]) -> Iterator[str]:
    """Combinations of arms under which the parameters would not be valid; an approval must leave none."""
    choices = [[(draft.id, name, draft.arms.get(name, {})) for name in draft.names] for draft in drafts]
    for chosen in product(*choices):
        values = {name: value for _, _, moved in chosen for name, value in moved.items()}
        if not values.keys() <= BOUNDS.keys():
            continue
        try:
            parameters.with_values(values)
        except ValidationError as invalid:
            told = ", ".join(f"{experiment} {arm}" for experiment, arm, _ in chosen)
            yield f"no parameters are valid under {told}: {invalid.errors()[0]['msg']}"


def _spread_of(record: Sequence[float]) -> float | None:
    """The sample standard deviation; None where the record is too short, or never varied."""
    count = len(record)
    if count < SPREAD_SESSIONS_MIN:
        return None
    mean = sum(record) / count
    spread = (sum((value - mean) ** 2 for value in record) / (count - 1)) ** 0.5
    return float(spread) if spread > _SAME else None
