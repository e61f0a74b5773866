"""`desk pages`, `desk answer` and `desk notify`: what waits for the operator, the operator's words, and telling it."""

import os
import time
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from desk.output import say, show, table
from desk.runner import prepare_home
from resources.desk import DeskResource
from resources.notify.model import WANTS_AN_ANSWER, Page, plain
from resources.notify.notifier import open_notifier
from resources.notify.pages import LedgerPages
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.settings import config_folder

EVERY_S = 1.0


def run_pages(lane: str, *, every: bool, as_json: bool) -> None:
    """What is unanswered, or every page that there ever was."""
    prepare_home()
    desk = DeskResource()
    pages = LedgerPages(desk.engine(lane), lane)
    told = pages.every() if every else pages.unanswered()
    if as_json:
        show({"book": lane, "pages": [_fields(page) for page in told]}, as_json=True)
        return
    if not told:
        say(f"nothing waits for an answer in book {lane}" if not every else f"book {lane} never had a page")
        return
    title = f"{lane}: {'every page' if every else 'waiting for an answer'}"
    table(title, ("page", "raised", "severity", "code", "what", "told", "answer"), [_row(page) for page in told])
    if not every:
        say(f'desk answer {told[0].id} "words" ends its repetition; a halt is lifted by desk resume alone')


def run_answer(lane: str, number: int, words: str) -> None:
    """Answers a page."""
    prepare_home()
    desk = DeskResource()
    pages = LedgerPages(desk.engine(lane), lane)
    page = pages.answer(number, words, as_of=desk.clock().now())
    left = len(pages.unanswered())
    say(plain(f"page {number} is answered: {page.code}: {page.sentence}"))
    say(f"{left} more wait; desk pages shows them" if left else "nothing else waits for an answer")


def run_notify(lane: str, *, follow: bool, as_json: bool) -> None:
    """Tells what is due, once or until interrupted; where the watchdog runs, it does this by itself."""
    prepare_home()
    desk = DeskResource()
    repeat = timedelta(minutes=desk.execution().watch.repeat_minutes)
    notifier = open_notifier(desk.engine(lane), lane, desk.home().root, config_folder(), os.environ, repeat=repeat)
    try:
        told = notifier.step(desk.clock().now())
        if follow:
            say("telling what comes; Ctrl-C ends")
        while follow:
            time.sleep(EVERY_S)
            notifier.step(desk.clock().now())
    except KeyboardInterrupt:
        say("")
    finally:
        notifier.close()
    if not follow:
        show({"told": len(told.keys), "elsewhere": told.elsewhere, "problem": told.problem or "none"}, as_json=as_json)


def _fields(page: Page) -> dict[str, Any]:
    instants = {name: value for name, value in asdict(page).items() if isinstance(value, datetime)}
    return {**asdict(page), **{name: value.isoformat() for name, value in instants.items()}}


def _row(page: Page) -> tuple[str, ...]:
    asks = page.severity in WANTS_AN_ANSWER
    answer = plain(page.answer) if page.answered_at and asks else "none asked" if not asks else "none"
    raised = page.raised_at.astimezone(NEW_YORK).strftime("%Y-%m-%d %H:%M:%S")
    told = f"{page.sends} times" if page.sends else "not yet"
    return str(page.id), raised, page.severity, plain(page.code), plain(page.sentence), told, answer
