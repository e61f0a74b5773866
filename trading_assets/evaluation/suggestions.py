"""What the desk thinks should be moved, what became of it, and the parameters in force, as the reports and commands show them.

A `Suggestion` becomes a `Proposed` when it is stored; it is open until somebody answers it or it lapses. Nothing here decides.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Literal

from trading_assets.core.parameters import BOUNDS, SWITCHED_OFF, Parameters, Suggestion, Tuned

__all__ = [
    "Answered",
    "Moved",
    "ParameterLine",
    "ProposalLine",
    "Proposed",
    "Suggestion",
    "parameter_lines",
    "proposal_lines",
]

Answer = Literal["approved", "refused"]
State = Literal["open", "approved", "refused", "lapsed"]


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a proposal. `from_session` is when it takes effect; None where it was refused."""

    answer: Answer
    who: str
    reason: str
    from_session: date | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Proposed:
    """A stored suggestion: `origin` says who made it, `lapses` is the last session on which it may be answered."""

    id: str
    session: date
    name: str
    before: Any
    after: Any
    origin: str
    reason: str
    evidence: Mapping[str, Any]
    observations: int
    lapses: date
    at: datetime
    answered: Answered | None = None

    def state(self, on: date) -> State:
        """How it stands on a session."""
        if self.answered is not None:
            return self.answered.answer
        return "open" if on <= self.lapses else "lapsed"


@dataclass(frozen=True, slots=True)
class Moved:
    """A parameter that was changed, from a session on; rows of it are never taken back, only followed by newer ones."""

    name: str
    before: Any
    after: Any
    from_session: date
    origin: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ProposalLine:
    """A proposal as a report shows it. `gain_usd` is the mean gain of a trade with its interval, where that was counted."""

    id: str
    session: date
    name: str
    before: str
    after: str
    origin: str
    reason: str
    observations: int
    state: State
    lapses: date
    who: str = ""
    answer_reason: str = ""
    from_session: date | None = None
    gain_usd: tuple[float, float, float] | None = None
    tried: int | None = None


@dataclass(frozen=True, slots=True)
class ParameterLine:
    """A parameter as a report shows it: its value on a session, what is configured, its bounds, and who set it when and why."""

    name: str
    value: str
    configured: str
    bounds: str
    unit: str
    since: date | None = None
    who: str = "configuration"
    why: str = ""
    arms: tuple[str, ...] = field(default=())


def proposal_lines(proposals: Sequence[Proposed], *, on: date) -> tuple[ProposalLine, ...]:
    """Proposals made by a session, open ones first and the newest first among equals; what was answered later counts as open."""
    known = [_as_of(each, on) for each in proposals if each.session <= on]
    ordered = sorted(known, key=lambda each: (each.state(on) != "open", -each.session.toordinal(), each.name, each.id))
    return tuple(_line(each, on) for each in ordered)


def parameter_lines(tuned: Tuned, moved: Sequence[Moved], *, on: date) -> tuple[ParameterLine, ...]:
    """Every parameter as it stands on a session."""
    now = tuned.at(on)
    return tuple(_parameter(name, now, tuned, moved, on) for name in (*sorted(BOUNDS), SWITCHED_OFF))


def shown(value: Any) -> str:
    """A parameter's value in words."""
    if isinstance(value, (list, tuple)):
        return ", ".join(str(each) for each in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _as_of(proposed: Proposed, on: date) -> Proposed:
    answered = proposed.answered
    if answered is None or answered.at.date() <= on:
        return proposed
    return replace(proposed, answered=None)


def _line(each: Proposed, on: date) -> ProposalLine:
    answered, gain = each.answered, each.evidence.get("gain_usd")
    tried = each.evidence.get("tried")
    return ProposalLine(
        id=each.id,
        session=each.session,
        name=each.name,
        before=shown(each.before),
        after=shown(each.after),
        origin=each.origin,
        reason=each.reason,
        observations=each.observations,
        state=each.state(on),
        lapses=each.lapses,
        who=answered.who if answered else "",
        answer_reason=answered.reason if answered else "",
        from_session=answered.from_session if answered else None,
        gain_usd=(gain["mean"], gain["low"], gain["high"]) if isinstance(gain, Mapping) else None,
        tried=tried if isinstance(tried, int) else None,
    )


def _parameter(name: str, now: Parameters, tuned: Tuned, moved: Sequence[Moved], on: date) -> ParameterLine:
    mine = [each for each in moved if each.name == name and each.from_session <= on]
    last, bound = (mine[-1] if mine else None), BOUNDS.get(name)
    return ParameterLine(
        name=name,
        value=shown(getattr(now, name)),
        configured=shown(getattr(tuned.base, name)),
        bounds=f"{bound.low:g} to {bound.high:g} by {bound.step:g}" if bound else "strategies of the desk",
        unit=bound.unit if bound else "STRATEGY or STRATEGY@REGIME",
        since=last.from_session if last else None,
        who=last.origin if last else "configuration",
        why=last.reason if last else "",
        arms=tuple(_arms(name, tuned, on)),
    )


def _arms(name: str, tuned: Tuned, on: date) -> Iterator[str]:
    for arm in tuned.arms:
        if name in arm.values and on in arm.sessions:
            yield f"{arm.experiment}: {arm.name}"
