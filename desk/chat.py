"""`desk chat`: questions to the desk in words. Everything is looked up read-only; a trade can be proposed and never ordered.

The one thing that a conversation may write is a proposal, and only after the person has confirmed that very proposal: with `yes` in
the terminal, or with `--propose SYMBOL:SIDE:STRATEGY` beside `--once`. It then waits for the next slot like any other candidate.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import typer

from desk.consult.budgets import next_budget
from desk.consult.guide import Reply, converse
from desk.consult.reading import Desk, printable
from desk.output import say
from desk.runner import prepare_home
from resources.desk import DESK, DeskResource
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import DeskError, PermanentFailure
from trading_assets.core.ids import short_id
from trading_assets.plans.guide import Suggestion, Turn
from trading_assets.plans.model import Proposal
from trading_assets.reasoning.baseline import RulesReasoner
from trading_assets.reasoning.ports import Reasoner

YES = "yes"
PROMPT = "you> "


@dataclass
class Chat:
    """One conversation with the desk of a lane."""

    lane: str
    reasoner: Reasoner
    resource: DeskResource
    turns: list[Turn] = field(default_factory=list)

    def ask(self, question: str) -> Reply:
        """The reply to a question; the conversation remembers both. The desk is looked at as of this moment."""
        desk = Desk(self.lane, self.resource.clock().now(), self.resource)
        reply = converse(
            question,
            self.turns,
            desk=desk,
            reasoner=self.reasoner,
            budget=next_budget(self.resource, "chat"),
        )
        self.turns.append(reply.turn)
        return reply

    def propose(self, suggested: Suggestion) -> Proposal:
        """Hands in what the person confirmed; PermanentFailure for any lane but the desk's, whose slots alone hear proposals."""
        if self.lane != DESK:
            raise PermanentFailure("only the desk's own book takes proposals", value=self.lane, bound=DESK)
        at = self.resource.clock().now()
        proposal = Proposal(
            id=short_id(at, suggested.model_dump()),
            at=at,
            author="chat",
            symbol=suggested.symbol,
            side=suggested.side,
            strategy=suggested.strategy,
            reason=suggested.reason,
        )
        with self.resource.ledger(self.lane).session() as ledger:
            ledger.propose(proposal)
        return proposal


def run_chat(lane: str, once: str | None, propose: str, *, as_json: bool) -> None:
    """Converses until an empty line or the end of the input, or answers one question.

    Args:
        lane: Whose book is looked at.
        once: One question; None for a conversation.
        propose: With `once`: SYMBOL:SIDE:STRATEGY of the one proposal that may be handed in; empty for none.
        as_json: With `once`: one JSON object on stdout.

    Raises:
        PermanentFailure: `propose` or `as_json` without `once`.
    """
    if once is None and (as_json or propose):
        raise PermanentFailure("--json and --propose need --once", hint='desk chat --once "theses" --json')
    prepare_home()
    with _chat(lane) as (chat, note):
        if once is None:
            _converse(chat, note)
        else:
            _answer(chat, once, propose, note, as_json=as_json)


@contextmanager
def _chat(lane: str) -> Iterator[tuple[Chat, str]]:
    """The conversation, and who answers in it. Names are what a conversation is about: where all are hidden, the rules answer."""
    resource = DeskResource()
    settings = resource.reasoning()
    if settings.mode == "rules" or settings.mask == "always":
        why = "mode: rules" if settings.mode == "rules" else "mask: always"
        yield Chat(lane, RulesReasoner(), resource), f"the rules answer: config/reasoning.yaml says {why}"
        return
    with resource.reasoner() as reasoner, reasoner.cycle():
        yield Chat(lane, reasoner, resource), f"models answer where they can: mode: {settings.mode}"


def _converse(chat: Chat, note: str) -> None:
    now = chat.resource.clock().now().astimezone(NEW_YORK)
    say(f"desk chat, book {chat.lane}, as of {now:%Y-%m-%d %H:%M} New York; {note}")
    say("An empty line ends. Nothing here sends an order; a proposal needs your yes.")
    while (question := _line(PROMPT)) != "":
        try:
            begun = time.perf_counter()
            reply = chat.ask(question)
        except DeskError as failure:
            say(f"desk: {failure}")
            continue
        _print(reply, seconds=time.perf_counter() - begun)
        if reply.proposal is not None:
            _confirm(chat, reply.proposal)


def _confirm(chat: Chat, suggested: Suggestion) -> None:
    """Only the word yes, typed by the person, hands a proposal in."""
    typer.echo(_offered(suggested))
    if chat.lane != DESK:
        say(f"book {chat.lane} takes no proposals; desk chat asks the desk's own")
        return
    if _line(f"Hand it in? Type {YES}: ") != YES:
        say("not handed in")
        return
    try:
        proposal = chat.propose(suggested)
    except DeskError as refused:
        say(f"desk: {refused}")
        return
    typer.echo(f"proposal {proposal.id} handed in: the next slot takes it like any other candidate")


def _answer(chat: Chat, question: str, propose: str, note: str, *, as_json: bool) -> None:
    begun = time.perf_counter()
    reply = chat.ask(question)
    seconds = time.perf_counter() - begun
    confirmed = reply.proposal if reply.proposal is not None and _named(reply.proposal) == propose else None
    handed_in = chat.propose(confirmed) if confirmed else None
    if as_json:
        typer.echo(json.dumps(_document(chat, reply, seconds, handed_in), ensure_ascii=False))
        return
    say(note)
    _print(reply, seconds=seconds)
    if reply.proposal is not None:
        typer.echo(_offered(reply.proposal))
        told = (
            f"proposal {handed_in.id} handed in" if handed_in else f"not handed in; --propose {_named(reply.proposal)}"
        )
        typer.echo(told)


def _named(suggested: Suggestion) -> str:
    return f"{suggested.symbol}:{suggested.side}:{suggested.strategy}"


def _offered(suggested: Suggestion) -> str:
    return printable(
        f"Proposal: {suggested.symbol} {suggested.side} by {suggested.strategy}: {suggested.reason} "
        "(entry, stop, target and size are code's; votes and risk gate decide)"
    )


def _print(reply: Reply, *, seconds: float) -> None:
    for line in reply.lines:
        typer.echo(printable(line))
    if reply.unfounded:
        typer.echo(f"not found in what was looked up: {', '.join(reply.unfounded)}")
    if reply.findings:
        looked = "; ".join(f"[{each.id}] {each.call} ({len(each.rows)} rows)" for each in reply.findings)
        say(printable(f"looked up: {looked}"))
    for attempt in reply.failed:
        say(printable(f"{attempt.route} {attempt.model} did not answer: {attempt.reason}"))
    who = " ".join((*reply.answered_by, reply.model)).strip() or "nobody"
    say(f"answered by {who}, {reply.cost_usd.normalize():f} USD, {seconds:.2f} s")


def _document(chat: Chat, reply: Reply, seconds: float, handed_in: Proposal | None) -> dict[str, Any]:
    return {
        "lane": chat.lane,
        "question": reply.question,
        "reply": list(reply.lines),
        "citations": list(reply.citations),
        "not_found": list(reply.unfounded),
        "looked_up": [each.model_dump(mode="json") for each in reply.findings],
        "proposal": reply.proposal.model_dump(mode="json") if reply.proposal else None,
        "proposal_id": handed_in.id if handed_in else None,
        "answered_by": list(reply.answered_by),
        "model": reply.model,
        "rounds": reply.rounds,
        "cost_usd": f"{reply.cost_usd.normalize():f}",
        "list_usd": f"{reply.list_usd.normalize():f}",
        "failed": [f"{each.route} {each.model}: {each.reason}" for each in reply.failed],
        "seconds": round(seconds, 3),
    }


def _line(prompt: str) -> str:
    """What the person types, without the spaces around it; empty at the end of the input."""
    typer.echo(prompt, nl=False, err=True)
    try:
        return sys.stdin.readline().strip()
    except KeyboardInterrupt:
        return ""
