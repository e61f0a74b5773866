"""Whether the facts that a session's decision needs have passed their quality gate.

A verdict counts only for the very file that was judged. Blocking checks in the orchestrator stop a run; this stops a decision,
whoever started it.
"""

from collections.abc import Mapping
from datetime import date

from trading_assets.core.errors import GateClosed
from trading_assets.core.ports import GateBook, GateRecord, Lake, Span
from trading_assets.market.model import DAILY_BARS


class FactGate:
    """Gate verdicts of daily bars over a range, read once."""

    def __init__(self, gates: Mapping[date, GateRecord], versions: Mapping[date, str]) -> None:
        self._gates = gates
        self._versions = versions

    @classmethod
    def load(cls, lake: Lake, book: GateBook, span: Span) -> "FactGate":
        """Verdicts and stored versions for the sessions of the span."""
        return cls(book.gates(DAILY_BARS.name, span), lake.versions(DAILY_BARS, span))

    def problem(self, session: date) -> str | None:
        """Why the session's bars may not be used; None when they may."""
        record, version = self._gates.get(session), self._versions.get(session)
        if version is None:
            return f"there are no {DAILY_BARS.name} of {session}"
        if record is None:
            return f"the quality gate has not judged {DAILY_BARS.name} of {session}"
        if record.version != version:
            return f"{DAILY_BARS.name} of {session} changed after the quality gate judged them"
        if not record.passed:
            return f"the quality gate refused {DAILY_BARS.name} of {session}: {'; '.join(record.failures)}"
        return None

    def require(self, session: date) -> None:
        """Raises GateClosed when the session's bars may not be used."""
        problem = self.problem(session)
        if problem:
            hint = f"mend the source, then desk ingest --from {session} --to {session}"
            raise GateClosed(problem, value=session, hint=hint)
