"""`desk watch`: the glance of `desk status` again and again on one screen, with the newest messages of the bus. It reads only."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from desk.glance import Glance
from desk.messages import line
from desk.output import say
from desk.screen import BAD, DIM, Block, Item, blocks_of, lines_of
from resources.desk import DeskResource
from trading_assets.core.errors import DeskError, PermanentFailure
from trading_assets.core.messages import TOPICS, Message, Topic, Wanted

if TYPE_CHECKING:
    from rich.text import Text

EVERY_S = 2.0
# Bars and timers would push everything else off the screen.
_SILENT: frozenset[Topic] = frozenset({"bar", "timer"})
_BEHIND = 500
_BUS_LINES_MIN = 4
_DATE = len("YYYY-MM-DD ")


def run_watch(lane: str) -> None:
    """Shows the book until Ctrl-C.

    Raises:
        PermanentFailure: there is no terminal to show it on.
    """
    from rich.console import Console, Group
    from rich.live import Live

    console = Console(highlight=False)
    if not console.is_terminal:
        raise PermanentFailure("desk watch needs a terminal", hint="desk status --json")
    desk = DeskResource()
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                lines = look(desk, lane, width=console.width, height=console.height)
                live.update(Group(*lines), refresh=True)
                time.sleep(EVERY_S)
    except KeyboardInterrupt:
        say("")


def look(desk: DeskResource, lane: str, *, width: int, height: int) -> "list[Text]":
    """One screen. What cannot be read stands on it as a sentence."""
    glance = Glance(desk, lane, desk.clock().now())
    try:
        tail = newest_messages(desk, lane, height) if glance.has_ledger else ()
        bus = [Item(line(message)[_DATE:]) for message in tail]
    except DeskError as refused:
        bus = [Item(f"cannot be read: {refused}", BAD)]
    return fitted(glance.tell(), bus, width=width, height=height)


def fitted(told: Mapping[str, Any], bus: Sequence[Item], *, width: int, height: int) -> "list[Text]":
    """Exactly `height` lines or fewer, none wider than `width`: each section within its share, the bus in what is left."""
    shown: list[Text] = []
    for block in blocks_of(told):
        shown += _shortened(lines_of(block, width), block, width)
    shown = shown[: max(0, height - _BUS_LINES_MIN)]
    room = height - len(shown)
    tail = bus[-room:] if bus else [Item("nothing was said yet", DIM)]
    for index, item in enumerate(tail[-room:]):
        shown.append(_cut(lines_of(Block("bus" if index == 0 else "", [item]), width), width))
    return shown


def newest_messages(desk: DeskResource, lane: str, count: int) -> Sequence[Message]:
    """The last messages of a book's ledger, oldest first."""
    from resources.ledger.bus import newest_id, read_messages
    from resources.ledger.engine import reading

    wanted = Wanted(frozenset(TOPICS) - _SILENT)
    with reading(desk.engine(lane)) as connection:
        after = max(0, newest_id(connection) - _BEHIND)
        return read_messages(connection, wanted, after=after, limit=_BEHIND)[-count:]


def _cut(lines: "list[Text]", width: int) -> "Text":
    """The first line, which says where more would follow."""
    first = lines[0]
    if len(lines) > 1:
        first.truncate(width - 2)
        first.append(" …", style=DIM)
    return first


def _shortened(lines: "list[Text]", block: Block, width: int) -> "list[Text]":
    if len(lines) <= block.most:
        return lines
    hidden = len(lines) - block.most + 1
    return [*lines[: block.most - 1], *lines_of(Block("", [Item(f"{hidden} more lines: desk status", DIM)]), width)]
