"""A journal entry as a page that a trader reads without tools.

Words of models, sources and operators are shown as text and as nothing else: no link, no picture, no markup, no hidden character.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.journal import Record, canonical

Body = Mapping[str, Any]
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
# Inline markup; links that readers make of bare addresses; headings, rules and lists at the beginning of a line.
_MARKUP = re.compile(
    r"[\\`*\[\]|~$@{}]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=:)/(?=/)|(?<=[wW]{3})\."
    r"|^[#+=-](?=[\s#+=-]|$)|^\d+[.)](?=\s|$)"
)
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# What a plan does with shares, by its side and whether it opens.
_SHARES_OF = {
    ("long", True): "buys",
    ("long", False): "sells",
    ("short", True): "sells short",
    ("short", False): "buys to cover",
}
_OPENS = frozenset({"enter", "add"})


def page(record: Record) -> str:
    """The whole file: front matter with the links of the chain, then the story. Entries as the database gives them back."""
    entry = record.entry
    here = entry.at.astimezone(NEW_YORK)
    symbol = f"{plain(entry.symbol)}: " if entry.symbol else ""
    title = f"# {symbol}{plain(entry.title)}"
    where = f"Book {plain(entry.book)}, session {entry.session}, {here:%Y-%m-%d %H:%M:%S} New York."
    return "\n".join([*_front(record), "", title, "", where, "", *_story(record), ""])


def plain(text: object) -> str:
    """The text on one line with everything escaped that markdown or HTML would act on; hidden characters are named."""
    shown = "".join(_visible(character) for character in str(text))
    shown = re.sub("[&<>]", lambda found: _ENTITIES[found[0]], " ".join(shown.split()))
    return _MARKUP.sub(_escaped, shown)


def _visible(character: str) -> str:
    if character in "\n\r\t":
        return " "
    return f"(U+{ord(character):04X})" if unicodedata.category(character) in _HIDDEN else character


def _escaped(found: re.Match[str]) -> str:
    """A list number is escaped at its point, everything else at its beginning."""
    return f"{found[0][:-1]}\\{found[0][-1]}"


def _front(record: Record) -> Iterator[str]:
    entry = record.entry
    yield "---"
    yield f"seq: {record.seq}"
    for name, value in (
        ("hash", record.hash),
        ("previous", record.previous),
        ("book", entry.book),
        ("session", entry.session.isoformat()),
        ("at", entry.at.isoformat(timespec="microseconds")),
        ("kind", entry.kind),
        ("symbol", entry.symbol),
        ("correlation_id", entry.correlation_id),
    ):
        yield f"{name}: {canonical(value)}"
    yield "---"


def _story(record: Record) -> list[str]:
    """The story of the entry's kind; a body that it does not fit is listed whole, so that nothing of it stays untold."""
    body = record.entry.body
    try:
        return list(_STORIES.get(record.entry.kind, _everything)(record, body))
    except (KeyError, TypeError, AttributeError):
        return list(_everything(record, body))


def _decision(record: Record, body: Body) -> Iterator[str]:  # noqa: ARG001 - stories share one form
    yield f"Slot {plain(body['slot'])} was decided in state {plain(body['state'])}: {plain(body['reason'])}."
    if not body["judged"]:
        return
    yield ""
    yield f"{body['plans']} planned, {body['vetoes']} vetoed:"
    yield ""
    for line in body["judged"]:
        yield (
            f"- {plain(line['symbol'])} ({plain(line['strategy'])}): {_terms(line)} "
            f"{plain(line['signer'])}: {plain(line['ruling'])}, {line['allowed']} of {line['quantity']} shares."
        )
        yield from (f"  - {plain(reason)}" for reason in line["reasons"])
    yield ""
    yield f"Limits in force: sha256 {plain(body['limits_hash'])}."


def _veto(record: Record, body: Body) -> Iterator[str]:
    plan, verdict = body["plan"], body["verdict"]
    signer, allowed = plain(verdict["signer"]), verdict["quantity"]
    ruling = "refused the plan" if verdict["ruling"] == "veto" else f"allows {allowed} of {plan['quantity']} shares"
    yield f"The {signer} {ruling}."
    yield ""
    yield "Controls that were breached:"
    yield ""
    for breach in verdict["breaches"]:
        yield f"- {plain(breach['control'])}: {plain(breach['value'])}, against a bound of {plain(breach['bound'])}."
        yield f"  {plain(breach['sentence'])}"
    if not verdict["breaches"]:
        yield "- none is named"
    yield ""
    yield from _plan(record, plan)


def _order(record: Record, body: Body) -> Iterator[str]:
    verdict = body["verdict"]
    yield (
        f"The {plain(verdict['signer'])} said {plain(verdict['ruling'])}: {body['quantity']} of "
        f"{body['plan']['quantity']} shares. Intent {plain(body['intent_id'])}."
    )
    yield ""
    yield "Orders:"
    yield ""
    for order in (each["placed"] for each in body["orders"]):
        price = next((f" at {_usd(order[p])}" for p in ("limit_price", "stop_price") if order.get(p) is not None), "")
        waits = ", waits for the entry" if order["parent_id"] else ""
        yield (
            f"- {plain(order['role'])}: {plain(order['side'])} {order['quantity']}, {plain(order['type'])}{price}, "
            f"{plain(order['time_in_force'])}{waits}"
        )
    if not body["orders"]:
        yield "- none"
    yield ""
    yield from _plan(record, body["plan"])


def _plan(record: Record, plan: Body) -> Iterator[str]:
    yield f"The plan of {plain(plan['strategy'])} for {plain(record.entry.symbol)}: {_terms(plan)}"
    yield ""
    yield f"- last known price: {_usd(plan['reference'])}"
    yield f"- regime: {plain(plan['regime'])}"
    yield f"- confidence: {plan['confidence']:.2f}"
    yield f"- thesis: {plain(plan['thesis_id'])}"
    yield ""
    yield "Why:"
    yield ""
    yield from (f"- {plain(reason)}" for reason in plan["reasons"])


def _terms(plan: Body) -> str:
    side, opens = plan.get("side", "long"), plan["action"] in _OPENS
    does = f"{_SHARES_OF[side, opens]} {plan['quantity']}"
    if not opens:
        return f"{does}."
    bound = "entry up to" if side == "long" else "entry down to"
    return f"{does}, {bound} {_usd(plan['entry'])}, stop {_usd(plan['stop'])}, target {_usd(plan['target'])}."


def _fill(record: Record, body: Body) -> Iterator[str]:
    verb = "Bought" if body["side"] == "buy" else "Sold"
    yield (
        f"{verb} {body['quantity']} {plain(record.entry.symbol)} at {_usd(body['price'])} each "
        f"({plain(body['role'])}, filled by {plain(body['reason'])}). Fee {_usd(body['fee'])}."
    )
    yield ""
    yield (
        f"- against the order: {plain(body['wanted_is'])} {_usd(body['wanted'])}, set in session "
        f"{plain(body['ordered_in'])}; slippage {_usd(body['slippage'])} a share ({plain(body['slippage_bp'])} basis points, "
        "more than zero is worse; a split in between is not taken out)"
    )
    yield f"- strategy: {plain(body['strategy'])}"
    yield f"- order {plain(body['order_id'])} of intent {plain(body['intent_id'])}, execution {plain(body['fill_id'])}"
    yield f"- decided in {plain(record.entry.correlation_id)}"


def _settlement(record: Record, body: Body) -> Iterator[str]:  # noqa: ARG001 - stories share one form
    yield f"The session is settled: equity {_usd(body['equity'])}, of it cash {_usd(body['cash'])}."
    yield ""
    yield f"- fees {_usd(body['fees'])}, dividends {_usd(body['dividends'])}, traded {_usd(body['traded_value'])}"
    yield from (f"- {plain(paid['symbol'])} paid {_usd(paid['amount'])}" for paid in body["paid"])
    yield ""
    yield "Positions:" if body["positions"] else "No positions."
    yield ""
    for held in body["positions"]:
        cost, price = _usd(held["cost"]), _usd(held["price"])
        yield f"- {plain(held['symbol'])}: {held['quantity']} shares, cost {cost}, last price {price}"


def _halt(record: Record, body: Body) -> Iterator[str]:
    yield f"Halt {body['halt_id']}. Cause: {plain(body['cause'])}"
    yield ""
    yield "The book only closes positions until the operator resumes, with this command and a reason:"
    yield ""
    yield f'    desk resume {int(body["halt_id"])} "why trading may go on"{_lane(record)}'


def _resume(record: Record, body: Body) -> Iterator[str]:  # noqa: ARG001 - stories share one form
    yield f"The operator lifted halt {body['halt_id']}. Its cause was: {plain(body['cause'])}"
    yield ""
    yield f"Reason: {plain(body['reason'])}"


def _parameter_change(record: Record, body: Body) -> Iterator[str]:  # noqa: ARG001 - stories share one form
    before, after = (_setting(body[key]) for key in ("before", "after"))
    yield f"{plain(body['name'])} was {before} and is {after}."
    yield ""
    yield f"- changed by: {plain(body['origin'])}"
    yield f"- reason: {plain(body['reason'])}"


def _note(record: Record, body: Body) -> Iterator[str]:
    """What is remembered; any other note is listed whole."""
    yield from _NOTES.get(str(body.get("of")), _everything)(record, body)


def _remark(record: Record, body: Body) -> Iterator[str]:  # noqa: ARG001 - stories share one form
    yield f"Slot {plain(body['slot'])}: {plain(body['sentence'])}"


def _lesson(record: Record, body: Body) -> Iterator[str]:
    told = body["lesson"]
    multiple = "" if told["r_multiple"] is None else f", {told['r_multiple']:.1f} R"
    yield f"Grade {plain(told['grade'])} for the decision, by {plain(told['author'])}. {plain(told['lesson'])}"
    yield ""
    yield (
        f"- {plain(told['direction'])} {plain(record.entry.symbol)} by {plain(told['strategy'])} in "
        f"{plain(told['regime'])}, {told['sessions_held']} sessions from {plain(told['opened'])}, "
        f"ended by {plain(told['exit_reason'])}"
    )
    yield f"- earned {_usd(told['pnl'])} ({told['return_fraction']:+.2%}{multiple})"
    yield from (f"- {plain(persona)} voted {vote:+.2f}" for persona, vote in sorted(told["votes"].items()))
    yield f"- trade {plain(told['id'])}, thesis {plain(told['thesis_id'])}"


def _proposal(record: Record, body: Body) -> Iterator[str]:
    told = body["proposal"]
    symbol, strategy = plain(record.entry.symbol), plain(told["strategy"])
    yield f"The {plain(told['author'])} asks for a {plain(told['side'])} position by {strategy} in {symbol}."
    yield ""
    yield f"Reason: {plain(told['reason'])}"
    yield ""
    yield f"Proposal {plain(told['id'])}. It is judged, sized and priced like any other setup."


def _everything(record: Record, body: Body) -> Iterator[str]:  # noqa: ARG001 - stories share one form
    for name, value in sorted(body.items()):
        yield f"- {plain(name)}: {plain(value if isinstance(value, str) else canonical(value))}"


def _setting(text: str | None) -> str:
    return "not set" if text is None else plain(text)


def _lane(record: Record) -> str:
    """The option that names the book, where it is not the default."""
    lane = re.sub(r"[^A-Za-z0-9_-]", "", record.entry.book)
    return "" if lane == "desk" else f" --lane {lane}"


def _usd(amount: object) -> str:
    return f"{plain(amount)} USD"


_NOTES: Mapping[str, Callable[[Record, Body], Iterator[str]]] = {
    "remark": _remark,
    "lesson": _lesson,
    "proposal": _proposal,
}
_STORIES: Mapping[str, Callable[[Record, Body], Iterator[str]]] = {
    "decision": _decision,
    "veto": _veto,
    "order": _order,
    "fill": _fill,
    "settlement": _settlement,
    "halt": _halt,
    "resume": _resume,
    "parameter_change": _parameter_change,
    "note": _note,
}
