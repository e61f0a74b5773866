"""What becomes of a part of the day at a moment: it is asked for, waits, is done, or was missed. Pure, for schedules and
sensors alike.

A part that must not be late (a slot, a review) is recorded as missed when its time is over; one for which late is right is
asked for until the next of its kind takes its place.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.day import Part

ClaimState = Literal["asked", "done", "failed", "missed"]
RunState = Literal["unseen", "running", "succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Who asked for a part: one row of the ledger, taken by whoever is first.

    Args:
        attempt: Counts from 1; each names another run.
        tick: The instant that the attempt was for.
        at: The machine's instant of the last change: a replayed day runs faster than the machine.
        by: Whose history of runs knows the attempt.
    """

    key: str
    state: ClaimState
    attempt: int
    tick: datetime
    at: datetime
    by: str = ""
    why: str = ""

    @property
    def run_key(self) -> str:
        """What names the attempt's run."""
        return f"{self.key}#{self.attempt}"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a part.

    Args:
        done: Its result is there, whoever made it.
        claim: Who asked for it, if anybody did.
        run: What became of the attempt's run; `unseen`: the history at hand has none.
        mine: Whether the history at hand is the one that would know the run.
        before: Why something that it needs is not there yet; empty when all is.
    """

    done: bool = False
    claim: Claim | None = None
    run: RunState = "unseen"
    mine: bool = True
    before: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """A run is to be asked for, in place of the claim that was read."""

    part: Part
    tick: datetime


@dataclass(frozen=True, slots=True)
class Settle:
    """The attempt has ended; its claim is to say so."""

    part: Part
    state: Literal["done", "failed"]
    why: str


@dataclass(frozen=True, slots=True)
class Missed:
    """Its time is over and it is not done."""

    part: Part
    why: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing is to be done about it now, and why. `over`: nothing ever again."""

    part: Part
    why: str
    over: bool = False


Answer = Ask | Settle | Missed | Rest


@dataclass(frozen=True, slots=True)
class Patience:
    """How long something is waited for.

    Args:
        schedule: Of the desk's time: a part's own schedule asks first; 0 where no schedule can tick.
        unseen: Of the machine's: a claim whose run nobody has seen by then was lost on the way.
        foreign: Of the machine's: a claim of another history is left alone for so long.
    """

    schedule: timedelta
    unseen: timedelta = timedelta(seconds=45)
    foreign: timedelta = timedelta(minutes=30)


def answer(part: Part, standing: Standing, *, as_of: datetime, machine: datetime, patience: Patience) -> Answer:
    """What is to be done about a part at `as_of`; `machine` is the machine's own clock, for the age of a claim."""
    claim = standing.claim
    if standing.done or (claim is not None and claim.state in {"done", "missed"}):
        return _settled(part, claim, as_of)
    tick = part.tick(as_of)
    if tick is None:
        return Rest(part, f"due at {_local(part.at)}")
    if claim is not None and claim.state == "asked":
        if standing.run in {"succeeded", "failed"}:
            return _ended(part, standing, claim)
        if standing.run == "running" or machine < claim.at + (patience.unseen if standing.mine else patience.foreign):
            return Rest(part, "its run is on its way")
    if as_of >= part.until:
        return Missed(part, _why_missed(part, standing))
    if claim is not None and claim.state == "failed" and claim.tick >= tick:
        later = [again for again in part.again if again > as_of]
        return Rest(part, f"its run failed; asked again at {_local(later[0])}" if later else "its run failed for good")
    if standing.before:
        return Rest(part, standing.before)
    if as_of < tick + patience.schedule:
        return Rest(part, "its schedule asks first")
    return Ask(part, tick)


def _settled(part: Part, claim: Claim | None, as_of: datetime) -> Answer:
    """What is there may still be taken back until the open: a gate may refuse facts that it let pass. Then it is asked for
    again.
    """
    if claim is not None and claim.state in {"done", "missed"}:
        return Rest(part, f"missed: {claim.why}" if claim.state == "missed" else "done", over=True)
    if part.again and as_of < part.until:
        return Rest(part, "done so far", over=True)
    return Settle(part, "done", "")


def _ended(part: Part, standing: Standing, claim: Claim) -> Settle:
    """A run that succeeded may still leave undone what it was for: where a result can be seen, only that counts."""
    if standing.run == "succeeded" and not shows(part):
        return Settle(part, "done", "")
    ended = "succeeded and left nothing" if standing.run == "succeeded" else "failed"
    return Settle(part, "failed", f"run {claim.run_key} {ended}")


def shows(part: Part) -> bool:
    """Whether a part leaves something that proves it: facts, opinions and decisions do."""
    return part.name in {"facts", "opinions", "slot"}


def _why_missed(part: Part, standing: Standing) -> str:
    until = _local(part.until)
    if standing.claim is None:
        why = f": {standing.before}" if standing.before else ""
        return f"nobody asked for it between {_local(part.at)} and {until}{why}"
    if standing.claim.state == "failed":
        return f"{standing.claim.why or 'its run failed'}, and its time ended at {until}"
    return f"it was asked for, and nothing came of it by {until}"


def _local(instant: datetime) -> str:
    return f"{instant.astimezone(NEW_YORK):%Y-%m-%d %H:%M}"
