"""`desk messages`: what the processes said to each other, as it was and as it comes."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

import typer

from desk.output import say, show
from desk.runner import prepare_home
from resources.desk import DeskResource
from resources.ledger.archive import archive, replay
from resources.ledger.bus import follow, newest_id
from resources.ledger.engine import reading
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.messages import TOPICS, Alert, Message, Note, Topic, Wanted, Window

SILENT_AFTER = timedelta(days=7)
_FOLLOWER = "desk messages"
_SENDER_WIDTH, _TOPIC_WIDTH = 16, 8


def run_messages(
    topic: str,
    first: date | None,
    last: date | None,
    *,
    lane: str,
    follow_on: bool,
    archive_before: date | None,
    as_json: bool,
) -> None:
    """Prints the messages of some sessions, from ledger and archive alike, and then what comes, until it is interrupted.

    With `archive_before` it archives instead. As JSON: one object, or one for each line when it goes on.
    """
    wanted = Wanted(_topics(topic))
    prepare_home()
    desk = DeskResource()
    if archive_before is not None:
        _archive(desk, lane, archive_before, as_json=as_json)
        return
    engine = desk.engine(lane)
    with reading(engine) as connection:
        newest = newest_id(connection)
    first_day, last_day = first or date.min, last or date.max
    window = Window(last_id=newest, first_session=first_day, last_session=last_day)
    told = replay(engine, desk.lake(), window, wanted, as_of=desk.clock().now())
    if as_json and not follow_on:
        typer.echo(json.dumps({"messages": [_fields(message) for message in told]}))
        return
    _print(told, as_json=as_json)
    if follow_on:
        say("waiting for messages; Ctrl-C ends")
        coming = follow(engine, wanted, after=newest, name=_FOLLOWER, clock=desk.clock())
        try:
            _print((message for message in coming if first_day <= message.draft.session <= last_day), as_json=as_json)
        except KeyboardInterrupt:
            say("")


def line(message: Message) -> str:
    """One line for a person: New York time, sender, recipient, topic, and what was said."""
    draft = message.draft
    time = draft.at.astimezone(NEW_YORK).strftime("%Y-%m-%d %H:%M:%S")
    to = f" -> {draft.recipient}" if draft.recipient else ""
    return f"{time}  {draft.sender + to:<{_SENDER_WIDTH}}  {draft.topic:<{_TOPIC_WIDTH}}  {_words(message)}".rstrip()


def _topics(topic: str) -> frozenset[Topic]:
    names = [name.strip() for name in topic.split(",") if name.strip()]
    known = {str(name): name for name in TOPICS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise PermanentFailure("the bus has no such topic", value=", ".join(unknown), bound=", ".join(TOPICS))
    return frozenset(known[name] for name in names)


def _archive(desk: DeskResource, lane: str, before: date, *, as_json: bool) -> None:
    done = archive(desk.engine(lane), desk.lake(), before=before, as_of=desk.clock().now(), silent_after=SILENT_AFTER)
    show(
        {"archived_through": done.through, **{k: v for k, v in asdict(done).items() if k != "through"}}, as_json=as_json
    )


def _print(messages: Iterable[Message], *, as_json: bool) -> None:
    for message in messages:
        typer.echo(json.dumps(_fields(message)) if as_json else line(message))


def _fields(message: Message) -> dict[str, Any]:
    draft = message.draft
    return {
        "id": message.id,
        "at": draft.at.isoformat(),
        "session": draft.session.isoformat(),
        "book": draft.book,
        "sender": draft.sender,
        "recipient": draft.recipient,
        "topic": draft.topic,
        "payload": draft.payload.model_dump(mode="json"),
        "correlation_id": draft.correlation_id,
    }


def _words(message: Message) -> str:
    """The payload in words; control characters of a stranger's text never reach the terminal."""
    payload = message.draft.payload
    if isinstance(payload, Note):
        words = payload.text
    elif isinstance(payload, Alert):
        words = f"{payload.severity} {payload.code} {payload.symbol}: {payload.sentence}".replace(" :", ":")
    else:
        fields = payload.model_dump(mode="json")
        words = ", ".join(f"{name} {value}" for name, value in fields.items() if value != "")
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in words)
