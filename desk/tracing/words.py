"""A trail as a trader reads it: what was traded, who said yes, what they saw, and whether it still stands."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from desk.tracing.rows import Seen

if TYPE_CHECKING:
    from desk.trace import Trail

_DIGITS = 12
_REASONS_SHOWN = 2
_SPEAKERS = ("analyst_briefs", "narratives", "debates", "stances", "votes")


def story(trail: "Trail") -> Iterator[str]:
    """The lines of the trail, from what was traded back to the bytes that it rests on."""
    for title, lines in (
        ("Plan", _plan(trail)),
        ("Signatures", _signatures(trail)),
        ("Orders and fills", _traded(trail)),
        ("Thesis", _thesis(trail)),
        ("Opinions", _opinions(trail)),
        ("Facts", _facts(trail)),
        ("Citations", _citations(trail)),
        ("Lessons", _lessons(trail)),
        ("Model calls", _calls(trail)),
        ("Journal", _journal(trail)),
    ):
        yield title
        yield from (f"  {line}" for line in lines)
        yield ""


def _plan(trail: "Trail") -> Iterator[str]:
    traced, plan = trail.traced, trail.traced.plan
    yield f"{traced.plan_id} of {traced.session} {traced.slot} in book {traced.book}, sha256 {traced.plan_digest[:_DIGITS]}"
    if plan is None:
        yield "the plan itself is not in the ledger"
        return
    terms = f", stop {plan.stop}, target {plan.target}" if plan.opens else ""
    yield f"{plan.action} {plan.side} {plan.quantity} {plan.symbol} by {plan.strategy} at {plan.entry}{terms}"
    agreed = "nobody voted" if plan.consensus is None else f"consensus {plan.consensus:+.2f}"
    yield f"regime {plan.regime}, confidence {plan.confidence:.2f}, {agreed}"
    yield from (f"because: {reason}" for reason in plan.reasons)
    yield f"decided in state {traced.state}: {traced.reason}"


def _signatures(trail: "Trail") -> Iterator[str]:
    for verdict in trail.traced.verdicts:
        yield f"{verdict.signer}: {verdict.ruling}, {verdict.quantity} shares"
        yield from (f"  {sentence}" for sentence in verdict.sentences)


def _traded(trail: "Trail") -> Iterator[str]:
    traced = trail.traced
    if not traced.intent_id:
        yield "none: the plan was refused"
        return
    yield f"intent {traced.intent_id}" + (
        f", reduces what intent {traced.opened_by} opened" if traced.opened_by else ""
    )
    for order in traced.orders:
        price = next((f" at {price}" for price in (order.limit_price, order.stop_price) if price is not None), "")
        yield f"order {order.id}: {order.side} {order.quantity}, {order.type}{price}, {order.time_in_force}"
    for fill in traced.fills:
        yield f"fill {fill['id']}: {fill['side']} {fill['quantity']} at {fill['price']}, fee {fill['fee']}, {fill['session']}"
    for seen in _rows(trail, "trades"):
        yield f"trade over on {seen.row['session']}: {seen.row['pnl']} USD, ended by {seen.row['exit_reason']}"


def _thesis(trail: "Trail") -> Iterator[str]:
    thesis = trail.thesis
    if thesis is not None:
        yield f"{thesis['direction']} {thesis['symbol']}: {thesis['claim']} ({thesis['status']}, {thesis['horizon']})"
        yield f"confidence {thesis['confidence']:.2f}, formed at {thesis['confidence_formed']:.2f} on {thesis['formed']}"
        for one in thesis["contributions"]:
            yield f"  {one['source']}: {one['log_odds']:+.3f} log-odds at {one['at']}"
    history = _rows(trail, "theses")
    yield f"{len(history)} slots of its history in the lake"
    for seen in _rows(trail, "thesis_events"):
        yield f"  {seen.row['session']} {seen.row['slot']} {seen.row['kind']}: {seen.row['sentence']}"


def _opinions(trail: "Trail") -> Iterator[str]:
    for name in _SPEAKERS:
        for seen in _rows(trail, name):
            yield f"{_speaker(name, seen.row)} [{seen.row['route']}]"
            yield from (f"  {sentence}" for sentence in _sentences(seen.row)[:_REASONS_SHOWN])


def _speaker(table: str, row: Mapping[str, Any]) -> str:
    if table == "analyst_briefs":
        return f"{row['agent']} on {row['symbol']}: {row['signal']:+.2f} at confidence {row['confidence']:.2f}"
    if table == "narratives":
        return f"narrative of {row['symbol']}, {row['stage']}: direction {row['direction']:+.2f}, edge {row['edge']}"
    if table == "debates":
        return f"{row['side']} on {row['symbol']}: strength {row['strength']:.2f}"
    if table == "stances":
        return f"chief: {row['stance']}, {row['size_fraction']:.0%} of the usual size"
    return f"{row['persona']}: {row['vote']:+.2f}, weight {row['weight']:.2f}, alone would {row['alone']}"


def _sentences(row: Mapping[str, Any]) -> Sequence[str]:
    for name in ("reasons", "points"):
        if name in row:
            said: Sequence[str] = json.loads(row[name])
            return said
    return [str(row.get("story") or row.get("reason") or "")]


def _facts(trail: "Trail") -> Iterator[str]:
    if trail.behind is None:
        return
    for rows in trail.behind.rows.values():
        for seen in rows:
            key = " ".join(str(value) for value in seen.key.values())
            yield f"{seen.table} {key}: {seen.lane}, version {seen.version}, sha256 {seen.sha256[:_DIGITS]}"
    if trail.behind.missing:
        yield f"without a row: {', '.join(trail.behind.missing)}"


def _citations(trail: "Trail") -> Iterator[str]:
    cited = trail.behind.citations if trail.behind else ()
    wrong = [citation for citation in cited if citation.problem]
    yield f"{len(cited) - len(wrong)} of {len(cited)} still stand"
    yield from (f"does not stand, {citation.by}: {citation.problem}" for citation in wrong)


def _lessons(trail: "Trail") -> Iterator[str]:
    for lesson in trail.traced.lessons:
        yield f"of this trade, grade {lesson.grade}: {lesson.lesson}"
    for lesson in trail.recalled:
        yield f"known then, {lesson.symbol} {lesson.session}, grade {lesson.grade}: {lesson.lesson}"


def _calls(trail: "Trail") -> Iterator[str]:
    if not trail.calls:
        yield "none: rules answered"
    for call in trail.calls:
        used = f"{call['input_tokens']} in, {call['output_tokens']} out, {call['latency_ms']} ms"
        yield f"{call['skill']} by {call['route']} {call['model']}: {call['outcome']}, {call['cost_usd']} USD, {used}"


def _journal(trail: "Trail") -> Iterator[str]:
    for entry in trail.traced.entries:
        yield f"{entry['seq']} {entry['kind']} {entry['symbol']} {entry['title']}, hash {entry['hash'][:_DIGITS]}"


def _rows(trail: "Trail", table: str) -> Sequence[Seen]:
    return trail.behind.rows.get(table, ()) if trail.behind else ()
