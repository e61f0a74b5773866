"""What the desk's guide is asked in a chat, what it answers, and the check that no answer escapes.

A question is worked on in rounds: the guide names look-ups, code makes them, and the guide is asked again with what they showed.
An answer has no field for a size, a price or an order: the most that it can do is to suggest a trade, which a person must confirm.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from trading_assets.plans.model import PlanSide
from trading_assets.reasoning.marks import Mark

CALLS_MAX = 4
LINES_MAX = 24
LINE_CHARACTERS_MAX = 240
FindingId = Annotated[str, Field(pattern=r"^t[0-9]{1,2}$")]
Line = Annotated[str, Field(min_length=1, max_length=LINE_CHARACTERS_MAX)]
_ACTED = re.compile(
    r"\b(?:I|we)(?:'ve| have)?(?: just| now| already)?"
    r" (?:bought|sold|shorted|placed|sent|submitted|approved|executed|cancelled|canceled|filled|sized)\b",
    re.IGNORECASE,
)


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Tool(_Words):
    """One look-up that may be asked for, and the arguments that it takes."""

    name: str
    shows: str
    takes: tuple[str, ...]


class Row(_Words):
    """One row of what a look-up showed: the desk's own words, and beside them words that others wrote."""

    cells: str
    quoted: Annotated[str | None, Mark.UNTRUSTED] = None


class Finding(_Words):
    """What one look-up showed; `call` says which one it was, `note` how it was cut or why there is nothing."""

    id: FindingId
    call: str
    rows: tuple[Row, ...]
    note: str = ""


class Turn(_Words):
    """An earlier question of the same conversation, and what was replied."""

    question: str
    reply: Annotated[str, Mark.UNTRUSTED]


class GuideInputs(_Words):
    """What the guide sees in one round of one question."""

    question: str
    today: date
    lane: str
    symbols: tuple[Annotated[str, Mark.SYMBOL], ...]
    strategies: tuple[str, ...]
    tools: tuple[Tool, ...]
    findings: tuple[Finding, ...]
    turns: tuple[Turn, ...]
    rounds_left: Annotated[int, Field(ge=0)]

    @property
    def ids(self) -> frozenset[str]:
        """Everything that may be cited."""
        return frozenset(finding.id for finding in self.findings)


class ToolCall(_Words):
    """A look-up that the guide asks for; an argument that its tool does not take is refused in a sentence."""

    tool: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
    symbol: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9.\-]{0,14}$"), Mark.SYMBOL] | None = None
    session: date | None = None
    first: date | None = None
    last: date | None = None
    kind: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")] | None = None
    rows: Annotated[int, Field(ge=1, le=30)] | None = None


class Suggestion(_Words):
    """A trade that the person may hand in: code computes every number of it."""

    symbol: Annotated[str, Mark.SYMBOL]
    side: PlanSide
    strategy: str
    reason: Line


class GuideAnswer(_Words):
    """Either look-ups to make, or a reply with what it rests on and perhaps a suggestion."""

    calls: Annotated[tuple[ToolCall, ...], Field(max_length=CALLS_MAX)]
    reply: Annotated[tuple[Line, ...], Field(max_length=LINES_MAX)]
    citations: Annotated[tuple[FindingId, ...], Field(max_length=20)]
    proposal: Suggestion | None


def misled(inputs: GuideInputs, answer: GuideAnswer) -> str | None:
    """The complaint about an answer that this question does not allow; None when all is well."""
    if answer.calls:
        return _wrong_calls(inputs, answer)
    if not answer.reply:
        return "an answer without calls needs a reply"
    foreign = sorted(set(answer.citations) - inputs.ids)
    if foreign:
        return f"{', '.join(foreign)} was not looked up; cite only {', '.join(sorted(inputs.ids)) or 'nothing'}"
    if any(_claims_an_act(line, inputs) for line in answer.reply):
        return "the reply claims to have acted: you look things up and suggest, nothing else"
    return _wrong_suggestion(inputs, answer.proposal) if answer.proposal else None


def _claims_an_act(line: str, inputs: GuideInputs) -> bool:
    """Whether the line says that the guide traded; words that stand in a finding are quoted, not claimed."""
    claim = _ACTED.search(line)
    if claim is None:
        return False
    return not any(claim.group() in (row.quoted or "") for finding in inputs.findings for row in finding.rows)


def _wrong_calls(inputs: GuideInputs, answer: GuideAnswer) -> str | None:
    if not inputs.rounds_left:
        return "no look-up is left: reply from what was looked up"
    if answer.proposal is not None:
        return "suggest a trade only together with a reply, not with calls"
    return None


def _wrong_suggestion(inputs: GuideInputs, suggested: Suggestion) -> str | None:
    if suggested.symbol not in inputs.symbols:
        return "the proposal's symbol is not in symbols"
    if suggested.strategy not in inputs.strategies:
        return f"the proposal's strategy must be one of {', '.join(inputs.strategies)}"
    return None
