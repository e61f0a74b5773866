"""A glance in words, line by line, for a terminal of any width; colours only repeat what the words say."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from desk.glance import UNREADABLE

if TYPE_CHECKING:
    from rich.text import Text

GOOD, BAD, LOUD, DIM, PLAIN = "green", "bold red", "bold white on red", "dim", ""
_LABEL = 11
_BREAK = "  "
_MARKS = {"decided": "", "done": "", "later": DIM, "due": "yellow", "asked": "yellow", "not asked": DIM}


@dataclass(frozen=True, slots=True)
class Item:
    """A piece of a line that is not broken while it fits."""

    words: str
    style: str = PLAIN


@dataclass(frozen=True, slots=True)
class Block:
    """A section: its name, and items that flow over as many lines as they need. `most`: lines on a screen of fixed height."""

    label: str
    items: Sequence[Item]
    most: int = 2
    one_a_line: bool = False


def blocks_of(told: Mapping[str, Any]) -> list[Block]:
    """Every section of a glance, loudest first."""
    drawn: Mapping[str, Callable[[Any], Iterator[Block]]] = {
        "clock": _clock,
        "halts": _halts,
        "standing": _standing,
        "pages": _pages,
        "processes": _processes,
        "money": _money,
        "positions": _positions,
        "orders": _orders,
        "day": _day,
        "data": _data,
        "proposals": _proposals,
        "models": _models,
        "health": _health,
    }
    blocks: list[Block] = []
    for name, draw in drawn.items():
        section = told.get(name)
        if isinstance(section, Mapping) and UNREADABLE in section:
            blocks.append(Block(name, [Item(f"cannot be read: {section[UNREADABLE]}", BAD)]))
        elif section is not None:
            blocks.extend(draw(section))
    return blocks


def lines_of(block: Block, width: int) -> "list[Text]":
    """The block's lines, none wider than `width`."""
    from rich.text import Text

    lines: list[Text] = []
    line = Text(f"{block.label[: _LABEL - 1]:<{_LABEL}}", style="bold", end="")
    begun = False
    for item in block.items:
        wanted = len(item.words) + (len(_BREAK) if begun else 0)
        if begun and (block.one_a_line or line.cell_len + wanted > width):
            lines.append(line)
            line, begun = Text(" " * _LABEL, end=""), False
        line.append(_BREAK if begun else "", style=PLAIN)
        line.append(item.words, style=item.style)
        begun = True
    lines.append(line)
    return [piece for each in lines for piece in _folded(each, width)]


def _folded(line: "Text", width: int) -> "Iterator[Text]":
    """A line that is too wide goes on below its words."""
    from rich.text import Text

    while line.cell_len > width:
        cut = line.plain.rfind(" ", _LABEL + 1, width)
        cut = cut if cut > _LABEL else width
        yield line[:cut]
        rest = line[cut:]
        line = Text(" " * _LABEL, end="").append_text(rest[len(rest.plain) - len(rest.plain.lstrip()) :])
    yield line


# Sections


def _clock(clock: Mapping[str, Any]) -> Iterator[Block]:
    kind = "" if clock["kind"] == "machine" else f", {clock['kind']}"
    items = [Item(f"{clock['new_york']} New York{kind}", "bold")]
    if clock["session"] is None:
        items.append(Item("closed today", "yellow"))
    else:
        early = " (early close)" if clock["early_close"] else ""
        items.append(Item(f"session {clock['opens']} to {clock['closes']}{early}"))
        left = clock["minutes_to_close"]
        items += [Item(f"{left:g} min to the close", GOOD)] if clock["is_open"] else []
    items.append(Item(f"due: {clock['due']}", "yellow" if clock["is_due"] else DIM))
    items.append(Item(f"next slot {clock['next_slot']} in {_span(clock['minutes_to_next_slot'])}"))
    yield Block(clock["book"], items, most=3)


def _halts(halts: Sequence[str]) -> Iterator[Block]:
    if halts:
        yield Block("HALTED", [Item(f"halt {halt}", LOUD) for halt in halts], most=3, one_a_line=True)
        number = halts[0].split(":", 1)[0]
        hint = f'desk resume {number} "why trading may go on"' if number.isdigit() else "desk status gives it a number"
        yield Block("", [Item(hint)], most=1)


def _standing(standing: Mapping[str, Any]) -> Iterator[Block]:
    if standing["may_open"]:
        yield Block("may open", [Item("yes", GOOD)])
    else:
        reasons = [Item(f"{reason};" if more else reason) for reason, more in _with_more(standing["why_not"])]
        yield Block("may open", [Item("NO:", BAD), *reasons], most=3)


def _pages(pages: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    if pages:
        items = [Item(f"{page['page']} {page['severity']} {page['code']}: {page['sentence']}", BAD) for page in pages]
        head = Item(f'{len(pages)} wait for an answer: desk answer {pages[0]["page"]} "words"')
        yield Block("pages", [head, *items], most=3, one_a_line=True)


def _processes(processes: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    items = [Item(*_alive(each)) for each in processes]
    if items:
        yield Block("processes", items)


def _alive(process: Mapping[str, Any]) -> tuple[str, str]:
    name, age = process["process"], process["age_seconds"]
    if age is None:
        return f"{name} NEVER SEEN", DIM if process["alive"] is None else BAD
    if process["alive"] is False:
        return f"{name} SILENT for {age:g} s", BAD
    ruling = process["says"].split(",", 1)[0]
    said = f" {ruling}" if ruling in {"REDUCING", "HALTED"} else ""
    return f"{name}{said} {age:g} s ago", BAD if said else GOOD if process["alive"] else DIM


def _money(money: Mapping[str, Any]) -> Iterator[Block]:
    if money["equity_usd"] is None:
        yield Block("money", [Item(f"equity unknown: {money['source']}", BAD if "broker" in money["source"] else DIM)])
        return
    day, drawdown = money["day_fraction"], money["drawdown_fraction"]
    items = [Item(f"equity {_usd(money['equity_usd'])} USD, cash {_usd(money['cash_usd'])} ({money['source']})")]
    if day is not None:
        worst = -day >= money["loss_reduces_fraction"]
        style = BAD if worst else PLAIN
        limits = f"reduces at -{money['loss_reduces_fraction']:.2%}, halts at -{money['loss_halts_fraction']:.2%}"
        items.append(Item(f"day {_usd(money['day_usd'], sign=True)} ({day:+.2%}; {limits})", style))
    if drawdown is not None:
        style = BAD if drawdown >= money["drawdown_halts_fraction"] else PLAIN
        items.append(Item(f"drawdown {drawdown:.2%}, halts at {money['drawdown_halts_fraction']:.2%}", style))
    yield Block("money", items, most=3)


def _positions(positions: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    items = [_position(each) for each in positions] or [Item("none", DIM)]
    yield Block("positions", items, most=6, one_a_line=True)


def _position(held: Mapping[str, Any]) -> Item:
    name = f"{held['quantity']} {held['symbol']}" + (f" ({held['strategy']})" if held["strategy"] else "")
    cost = f"at {_usd(held['average_cost_usd'])}"
    seen = "price unknown" if held["price_usd"] is None else f"now {_usd(held['price_usd'])}, {held['price_of']}"
    gained = "" if held["unrealised_usd"] is None else f", {_usd(held['unrealised_usd'], sign=True)} USD"
    if held["stop_usd"] is None:
        return Item(f"{name} {cost}; {seen}{gained}; NO STOP", BAD)
    apart = held["stop_distance_fraction"]
    away = "" if apart is None else f", {apart:.1%} away"
    return Item(f"{name} {cost}; {seen}{gained}; stop {_usd(held['stop_usd'])}{away}")


def _orders(orders: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    items = [_order(each) for each in orders] or [Item("none", DIM)]
    yield Block("orders", items, most=3)


def _order(order: Mapping[str, Any]) -> Item:
    price = order["stop_usd"] or order["limit_usd"]
    at = f" at {_usd(price)}" if price else f" {order['kind']}"
    filled = "" if order["filled"] in {"0", "0.0000"} else f", {order['filled']} filled"
    words = f"{order['symbol']} {order['role']} {order['side']} {order['quantity']}{at} {order['state']}{filled}"
    return Item(words, DIM if order["state"] == "held" else PLAIN)


def _day(day: Mapping[str, Any]) -> Iterator[Block]:
    slots, parts = day["slots"], day["parts"]
    counts = {state: sum(slot["state"] == state for slot in slots) for state in ("decided", "due", "missed", "failed")}
    head = ", ".join(f"{count} {state}" for state, count in counts.items() if count or state == "decided")
    bad = counts["missed"] + counts["failed"] > 0
    looks = f", {len(day['looks'])} looks between" if day["looks"] else ""
    items = [Item(f"{day['session']}: {head} of {len(slots)}{looks}", BAD if bad else PLAIN)]
    shown = [slot for slot in slots if slot["state"] != "later"]
    yield Block("slots", [*items, *(_slot(slot) for slot in shown)], most=3)
    yield Block("day", [_part(part) for part in _reviews_as_one(parts)], most=2)


def _slot(slot: Mapping[str, Any]) -> Item:
    plans = f" {slot['plans']} planned" if slot.get("plans") else ""
    plans += f" {slot['vetoes']} vetoed" if slot.get("vetoes") else ""
    state = "" if slot["state"] == "decided" else f" {slot['state'].upper()}"
    return Item(f"{slot['slot']}{plans}{state}", _MARKS.get(slot["state"], BAD))


def _part(part: Mapping[str, Any]) -> Item:
    state = f"at {part['due']}" if part["state"] == "later" else part["state"]
    loud = part["state"] not in _MARKS
    return Item(f"{part['part']} {state.upper() if loud else state}", _MARKS.get(part["state"], BAD))


def _reviews_as_one(parts: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Six reviews are one word, beside those that went wrong."""
    reviews = [part for part in parts if part["part"].startswith("review ")]
    done = sum(part["state"] == "done" for part in reviews)
    for part in parts:
        if reviews and part is reviews[0]:
            yield {"part": f"reviews {done} of {len(reviews)}", "due": "", "state": "done"}
        if part not in reviews or part["state"] not in _MARKS:
            yield part


def _data(data: Mapping[str, Any]) -> Iterator[Block]:
    settled = data["last_settled_session"]
    items = [Item(f"settled {settled}" if settled else "nothing settled")]
    yield Block("data", [*items, *(_table(each) for each in data["tables"])], most=2)


def _table(table: Mapping[str, Any]) -> Item:
    if table["newest"] is None:
        hint = "; desk ingest fetches them" if table["table"] == "daily_bars" else ""
        return Item(f"{table['table']} none{hint}", BAD)
    gate = table.get("gate", "passed")
    late = "" if table["fresh"] else f", needed {table['needed']}"
    judged = f" {gate}" if "gate" in table else ""
    return Item(f"{table['table']} {table['newest']}{judged}{late}", BAD if late or gate != "passed" else PLAIN)


def _proposals(proposals: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    if proposals:
        names = [Item(f"{p['id']}: {p['name']} {p['before']} to {p['after']}, until {p['lapses']}") for p in proposals]
        yield Block("proposals", [Item(f"{len(proposals)} open: desk approve ID"), *names], most=2)


def _models(models: Mapping[str, Any]) -> Iterator[Block]:
    spent = f"{_usd(models['spent_usd'])} USD spent on {models['day']}, {_usd(models['left_usd'])} left"
    yield Block("models", [Item(f"mode {models['mode']}"), Item(spent)], most=1)


def _health(health: Mapping[str, Any]) -> Iterator[Block]:
    style = GOOD if health["state"] == "normal" else DIM if health["state"] == "unknown" else BAD
    why = health.get("why") or f"{health['age_seconds']:g} s ago"
    wrong = [
        Item(f"{check.get('name')} {check.get('state')}: {check.get('sentence', '')}", BAD)
        for check in health.get("checks", [])
    ]
    yield Block("health", [Item(f"{health['state']}, {why}", style), *wrong], most=2)


# Figures


def _usd(amount: str, *, sign: bool = False) -> str:
    value = float(amount)
    return f"{value:+,.2f}" if sign else f"{value:,.2f}"


def _span(minutes: float) -> str:
    return f"{minutes:g} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _with_more(words: Sequence[str]) -> Iterator[tuple[str, bool]]:
    yield from ((each, index + 1 < len(words)) for index, each in enumerate(words))
