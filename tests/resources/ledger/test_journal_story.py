"""A journal entry as a page: what a trader reads without tools, and words from outside that stay words."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.ledger.engine import open_ledger
from resources.ledger.journal_files import JournalFiles, names_of
from resources.ledger.journal_story import page, plain
from tests.resources.ledger.entries import DAYS, at, intent
from tests.resources.ledger.journaled import Teller, appended, day_of_trading, desk_week, note, pages
from trading_assets.core.journal import Record


@pytest.fixture
def files(tmp_path: Path) -> JournalFiles:
    return JournalFiles(tmp_path / "journal")


@pytest.fixture
def desk(path: Path) -> sa.Engine:
    """A ledger in a file: what the files are made from is the same in both databases."""
    return open_ledger(path, durability="NORMAL")


def one_page(files: JournalFiles, records: Sequence[Record], kind: str) -> str:
    """The page of the only, or first, record of a kind."""
    record = next(record for record in records if record.entry.kind == kind)
    return names_of(files.folder, record.entry, record.seq)[0].read_text()


# What a person reads


def test_each_entry_is_a_page_in_the_folder_of_its_session(desk: sa.Engine, files: JournalFiles) -> None:
    teller = Teller(desk)
    day_of_trading(teller, DAYS[0])
    assert files.write_after_commit(teller.records) is None
    assert list(pages(files.folder)) == [
        f"{DAYS[0]}/093000-AAA-entry-ordered-momentum-breakout.md",
        f"{DAYS[0]}/093000-AAA-entry-shrunk-momentum-breakout.md",
        f"{DAYS[0]}/093000-BBB-entry-vetoed-mean-reversion.md",
        f"{DAYS[0]}/093000-DESK-decided-1-planned-0-vetoed.md",
        f"{DAYS[0]}/093100-AAA-bought-7-entry.md",
        f"{DAYS[0]}/100000-DESK-idle.md",
        f"{DAYS[0]}/160000-DESK-settled.md",
    ]


def test_a_decision_says_what_was_decided_and_why(desk: sa.Engine, files: JournalFiles) -> None:
    teller = desk_week(desk)
    files.write_after_commit(teller.records)
    said = one_page(files, teller.records, "decision")
    assert "Slot 09:30 was decided in state ACTIVE: due." in said
    assert "- AAA (momentum_breakout): buys 10, entry up to 100.50 USD, stop 95.25 USD, target 110.0001 USD." in said
    assert "risk_gate: shrink, 7 of 10 shares." in said
    assert "risk_gate: veto, 0 of 40 shares." in said
    assert "  - a reason — with a dash" in said


def test_a_veto_names_every_control_with_its_value_and_its_bound(desk: sa.Engine, files: JournalFiles) -> None:
    teller = desk_week(desk)
    files.write_after_commit(teller.records)
    vetoed = next(record for record in teller.records if record.entry.symbol == "BBB")
    said = names_of(files.folder, vetoed.entry, vetoed.seq)[0].read_text()
    assert "The risk_gate refused the plan." in said
    assert "- C10: 26,000.00 USD in Energy, against a bound of 25,000.00 USD." in said
    assert "- C8: 9 positions, against a bound of 8 positions." in said
    assert "entry up to 20.10 USD, stop 19.00 USD, target 23.00 USD" in said


def test_a_fill_says_price_fee_and_slippage_against_its_order(desk: sa.Engine, files: JournalFiles) -> None:
    teller = desk_week(desk)
    files.write_after_commit(teller.records)
    said = one_page(files, teller.records, "fill")
    assert "Bought 7 AAA at 100.4999 USD each (entry, filled by limit). Fee 0.0350 USD." in said
    assert f"limit 100.5000 USD, set in session {DAYS[0]}; slippage -0.0001 USD a share (0.0 basis points" in said
    assert f"decided in desk/{DAYS[0]}/09:30" in said


def test_a_halt_names_its_cause_and_the_exact_command_that_resumes_it(desk: sa.Engine, files: JournalFiles) -> None:
    teller = Teller(desk)
    halt = teller.halt("C12 drawdown: 8.10% `rm -rf`", as_of=at(DAYS[0]))
    files.write_after_commit(teller.records)
    said = one_page(files, teller.records, "halt")
    assert f"Halt {halt.id}. Cause: C12 drawdown: 8.10% \\`rm -rf\\`" in said
    assert f'    desk resume {halt.id} "why trading may go on"\n' in said


def test_the_command_that_resumes_another_book_names_its_lane(desk: sa.Engine, files: JournalFiles) -> None:
    teller = Teller(desk, "backtest")
    halt = teller.halt("C11", as_of=at(DAYS[0]))
    files.write_after_commit(teller.records)
    assert f'desk resume {halt.id} "why trading may go on" --lane backtest' in one_page(files, teller.records, "halt")


def test_orders_settlements_answers_and_settings_read_as_sentences(desk: sa.Engine, files: JournalFiles) -> None:
    teller = desk_week(desk)
    files.write_after_commit(teller.records)
    said = {
        kind: one_page(files, teller.records, kind) for kind in ("order", "settlement", "resume", "parameter_change")
    }
    assert "- stop: sell 7, stop at 95.25 USD, gtc, waits for the entry" in said["order"]
    assert "- entry: buy 7, limit at 100.5 USD, day\n" in said["order"]
    assert "equity 99707.1241 USD, of it cash 99000.1234 USD." in said["settlement"]
    assert "- AAA: 7 shares, cost 703.5343 USD, last price 101.0001 USD" in said["settlement"]
    assert "Its cause was: C12 drawdown: 8.10%" in said["resume"]
    assert "stops.max was 0.05 and is 0.04." in said["parameter_change"]


def test_the_front_matter_holds_the_links_of_the_chain(desk: sa.Engine, files: JournalFiles) -> None:
    teller = desk_week(desk)
    files.write_after_commit(teller.records)
    for record in teller.records:
        text = page(record)
        front = yaml.safe_load(text.split("---\n")[1])
        assert (front["seq"], front["hash"], front["previous"]) == (record.seq, record.hash, record.previous)
        assert (front["kind"], front["correlation_id"]) == (record.entry.kind, record.entry.correlation_id)


def test_an_entry_whose_body_its_kind_does_not_know_is_told_whole(desk: sa.Engine) -> None:
    for kind in ("decision", "veto", "fill", "halt", "model"):
        (record,) = appended(desk, [note(0, kind=kind, body={"breaker": "open", "tries": [1, 2]})])
        assert "- breaker: open\n- tries: \\[1,2\\]" in page(record)


# Words from outside


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("[sell](http://evil.example)", "\\[sell\\](http:\\//evil.example)"),
        ("![x](data:image/png)", "!\\[x\\](data:image/png)"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
        ("# Halt lifted", "\\# Halt lifted"),
        ("- [x] done", "\\- \\[x\\] done"),
        ("1. first", "1\\. first"),
        ("1.5 shares", "1.5 shares"),
        ("-0.5 %", "-0.5 %"),
        ("---", "\\---"),
        ("two\nlines\r\n# and a heading", "two lines # and a heading"),
        ("**bold** `code` ~~gone~~ | cell", "\\*\\*bold\\*\\* \\`code\\` \\~\\~gone\\~\\~ \\| cell"),
        ("momentum_breakout and _stress_", "momentum_breakout and \\_stress\\_"),
        ("www.evil.example", "www\\.evil.example"),
        ("trap\u202egpj.exe", "trap(U+202E)gpj.exe"),
        ("zero\u200bwidth\ufeff", "zero(U+200B)width(U+FEFF)"),
        ("bell\x07 nul\x00", "bell(U+0007) nul(U+0000)"),
        ("half \ud800", "half (U+D800)"),
        ("{{ 7 * 7 }} ${HOME}", "\\{\\{ 7 \\* 7 \\}\\} \\$\\{HOME\\}"),
        ("Kursgewinn über 5 %", "Kursgewinn über 5 %"),
    ],
)
def test_words_from_outside_are_shown_as_words(words: str, shown: str) -> None:
    assert plain(words) == shown


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_no_words_make_a_second_line_a_link_a_tag_or_a_hidden_character(words: str) -> None:
    shown = plain(words)
    assert len(shown.splitlines()) <= 1
    assert not re.search(r"(?<!\\)[\[`]|<|>|://", shown)
    assert all(ord(character) >= 32 for character in shown)
    shown.encode()


def test_a_hostile_reason_cannot_forge_a_section_of_a_page(desk: sa.Engine, files: JournalFiles) -> None:
    teller = Teller(desk)
    cause = "lunch\n---\nseq: 1\nhash: " + "0" * 64 + '\n\n# Halt lifted\n\n    desk resume 1 "yes"'
    teller.halt(cause, as_of=at(DAYS[0]))
    files.write_after_commit(teller.records)
    said = one_page(files, teller.records, "halt")
    assert said.count("\n---\n") == 1
    assert "\n# Halt lifted" not in said
    assert said.count("\n    desk resume") == 1


# What a plan does, by its side


@pytest.mark.parametrize(
    ("action", "side", "words"),
    [
        ("enter", "long", "buys 10, entry up to 100.50 USD, stop 95.25 USD, target 110.0001 USD."),
        ("add", "long", "buys 10, entry up to"),
        ("trim", "long", "sells 10."),
        ("exit", "long", "sells 10."),
        ("enter", "short", "sells short 10, entry down to 100.50 USD, stop"),
        ("trim", "short", "buys to cover 10."),
        ("exit", "short", "buys to cover 10."),
    ],
)
def test_a_page_says_what_a_plan_does_with_shares(action: str, side: str, words: str) -> None:
    wanted = intent(DAYS[0])
    opens = action in {"enter", "add"}
    terms = {} if opens else {"stop": None, "target": None}
    plan = wanted.plan.model_copy(update={"action": action, "side": side, **terms})
    verdict = wanted.verdict.model_dump(mode="json")
    body = {"intent_id": "i", "quantity": 10, "plan": plan.model_dump(mode="json"), "verdict": verdict, "orders": []}
    entry = note(kind="order", symbol="AAA", title="ordered", body=body)
    assert f"The plan of momentum_breakout for AAA: {words}" in page(Record(1, entry, "", ""))


def test_a_plan_of_an_earlier_version_has_no_side_and_is_long() -> None:
    wanted = intent(DAYS[0])
    plan = wanted.plan.model_dump(mode="json")
    del plan["side"]
    verdict = wanted.verdict.model_dump(mode="json")
    body = {"intent_id": "i", "quantity": 10, "plan": plan, "verdict": verdict, "orders": []}
    told = page(Record(1, note(kind="order", symbol="AAA", body=body), "", ""))
    assert "buys 10, entry up to 100.50 USD" in told
