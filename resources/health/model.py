"""Words of health: what a check says, and what all of them come to."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

State = Literal["normal", "unknown", "warning", "critical"]
STATES: tuple[State, ...] = ("normal", "unknown", "warning", "critical")
"""From good to bad. Unknown counts as a warning: what cannot be seen is not well."""


@dataclass(frozen=True, slots=True)
class Check:
    """What one look at one thing found.

    Args:
        value: What was found, in words and with its unit.
        bound: What it was held against; empty where there is none.
        sentence: For a person.
        hint: The next command; empty where nothing is to be done.
    """

    name: str
    state: State
    value: str
    bound: str
    sentence: str
    hint: str = ""

    @property
    def told(self) -> State:
        """The state as it is told: unknown as a warning."""
        return "warning" if self.state == "unknown" else self.state


@dataclass(frozen=True, slots=True)
class Report:
    """One round of checks. `at` is the desk's clock, `machine` the machine's."""

    at: datetime
    machine: datetime
    checks: tuple[Check, ...]

    @property
    def state(self) -> State:
        """The worst of all; a round without checks knows nothing."""
        return worst([check.told for check in self.checks]) if self.checks else "warning"

    def as_json(self) -> dict[str, Any]:
        """For the ledger, a file or another program."""
        return {
            "state": self.state,
            "at": self.at.isoformat(),
            "machine": self.machine.isoformat(),
            "checks": [asdict(check) for check in self.checks],
        }


def worst(states: Sequence[State]) -> State:
    """The worst of some states."""
    return max(states, key=STATES.index)


def graded(value: float, *, warning: float, critical: float) -> State:
    """A value that must stay below its bounds; one that is no number is unknown."""
    if value < warning:
        return "normal"
    if value < critical:
        return "warning"
    return "critical" if value >= critical else "unknown"


def told_in(recorded: Mapping[str, Any]) -> dict[str, State]:
    """What an earlier round had told of each check, from its record; a state that is no state is left out."""
    told = recorded.get("told", {})
    return {str(name): state for name, state in told.items() if state in STATES} if isinstance(told, Mapping) else {}
