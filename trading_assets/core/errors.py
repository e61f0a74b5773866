"""Failures named by who reacts: a person, a retry, the clock, or the operator.

Expected refusals (a veto, a closed gate, a slot that is not due) are values, not exceptions; see the models of each room.
"""


class DeskError(Exception):
    """What went wrong, with which value, against which bound, and what to do next.

    Args:
        what: One sentence that names the thing that failed.
        value: The offending value, if there is one.
        bound: The rule or limit that it broke, if there is one.
        hint: The next command or edit for the person who reads this.
    """

    def __init__(self, what: str, *, value: object = None, bound: object = None, hint: str = "") -> None:
        self.what = what
        self.value = value
        self.bound = bound
        self.hint = hint
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        parts = [self.what]
        if self.value is not None:
            parts.append(f"value: {self.value}")
        if self.bound is not None:
            parts.append(f"bound: {self.bound}")
        if self.hint:
            parts.append(f"next: {self.hint}")
        return " | ".join(parts)


class PermanentFailure(DeskError):
    """A person must change something; a retry gives the same answer."""


class TransientFailure(DeskError):
    """The outside world failed in passing; a later retry can succeed."""


class DataNotReady(DeskError):
    """The fact does not exist yet, or is not yet fit for use; the next run after it arrives heals this."""


class TradingHalted(DeskError):
    """A control forbids the action; only the operator changes that."""


class ConfigurationError(PermanentFailure):
    """A settings or preferences file is wrong; nothing starts until it is mended."""


class NotASession(PermanentFailure):
    """The exchange is closed on that day."""


class OutOfCalendar(PermanentFailure):
    """The day lies outside the years that the frozen calendar covers."""


class TableMismatch(PermanentFailure):
    """A frame does not have the columns, types, keys or sessions that its table declares."""


class LakeDamaged(PermanentFailure):
    """A stored file cannot be read back as what its name says."""


class SlotRefused(TradingHalted):
    """The desk lane was asked for anything but the slot that is due now."""


class GateClosed(TradingHalted):
    """A quality gate did not pass for a fact that the decision needs."""


class DuplicateDecision(TradingHalted):
    """The ledger already holds a decision for this book, session and slot."""
