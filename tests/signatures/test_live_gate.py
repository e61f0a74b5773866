"""The live gate, cell by cell: exactly one way leads to real money, and every mismatch is named."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.broker.settings import Mode
from trading_assets.core.settings import PROJECT
from trading_assets.signatures.live_gate import PAPER_SESSIONS_MIN, PORTS, live_gate, mode_of
from trading_assets.signatures.permits import (
    NO_RECORD,
    VALID_MAX,
    PaperRecord,
    Permit,
    paper_record,
    phrase_for,
    problem_with,
    record_of,
)

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
LIMITS = "c" * 64
LIVE, PAPER = "U1234567", "DU1234567"
TICK = timedelta(microseconds=1)
PORT_LISTS: Mapping[Mode, tuple[int, ...]] = {"paper": (7497, 4002, 4004, 7499), "live": (7496, 4001, 4003, 7498)}


def permit(**changed: Any) -> Permit:
    """A live permit of yesterday that is good for 29 more days."""
    yesterday = NOW - timedelta(days=1)
    phrase = "trade account U1234567 with real money"
    return replace(Permit("live", LIVE, LIMITS, "{}", phrase, yesterday, NOW + timedelta(days=29)), **changed)


def asked(**changed: Any) -> tuple[str, ...]:
    """The gate when everything speaks for live, but for what is changed."""
    given_: dict[str, Any] = {
        "mode": "live",
        "port": 7496,
        "accounts": (LIVE,),
        "expected": LIVE,
        "optin": permit(),
        "typed_account": LIVE,
        "paper_sessions": PaperRecord(PAPER_SESSIONS_MIN, 0, 0),
        "limits_hash": LIMITS,
        "limits_writable": False,
        "now": NOW,
        **changed,
    }
    return live_gate(given_.pop("mode"), given_.pop("port"), given_.pop("accounts"), given_.pop("expected"), **given_)


def paper(port: int = 4002, account: str = PAPER, **changed: Any) -> tuple[str, ...]:
    """The gate for paper: nothing but port and account is asked."""
    return live_gate("paper", port, (account,), account, now=NOW, **changed)


def test_everything_agreeing_leads_to_real_money_and_paper_needs_no_paper_work() -> None:
    assert asked() == ()
    assert paper() == ()


CELLS: Mapping[str, Mapping[bool, Mapping[str, Any]]] = {
    "mode": {True: {"mode": "live"}, False: {"mode": "paper"}},
    "port": {True: {"port": 4001}, False: {"port": 4002}},
    "account": {True: {"accounts": (LIVE,)}, False: {"accounts": (PAPER,)}},
    "opt-in": {True: {"optin": permit()}, False: {"optin": None}},
    "typed": {True: {"typed_account": LIVE}, False: {"typed_account": ""}},
    "record": {True: {"paper_sessions": PaperRecord(20, 0, 0)}, False: {"paper_sessions": PaperRecord(19, 0, 0)}},
    "limits": {True: {"limits_writable": False}, False: {"limits_writable": True}},
}


def cells() -> Iterator[tuple[dict[str, bool], tuple[str, ...]]]:
    """Every combination of right and wrong, with what the gate says."""
    for chosen in product((True, False), repeat=len(CELLS)):
        cell = dict(zip(CELLS, chosen, strict=True))
        changed: dict[str, Any] = {}
        for name, right in cell.items():
            changed |= CELLS[name][right]
        yield cell, asked(**changed)


@pytest.mark.control("C29")
@pytest.mark.fault(48)
def test_of_all_combinations_exactly_one_leads_to_live() -> None:
    table = list(cells())
    assert len(table) == 2 ** len(CELLS) == 128
    assert [cell for cell, said in table if not said] == [dict.fromkeys(CELLS, True)]


@pytest.mark.control("C29")
@pytest.mark.fault(48)
def test_each_wrong_cell_adds_exactly_one_line_of_its_own() -> None:
    """In live mode; a paper account differs from the expected one and is of the wrong kind, which is two."""
    for cell, said in cells():
        if cell["mode"]:
            wrong = [name for name, right in cell.items() if not right]
            assert len(said) == len(wrong) + (not cell["account"]), (cell, said)


@pytest.mark.control("C29")
@pytest.mark.fault(48)
@pytest.mark.parametrize("prefix", ["DU", "DF", "U", "F", "I", "", "D", "X", "UU", "du", "u", "\uff35"])
@pytest.mark.parametrize("port", [*PORT_LISTS["paper"], *PORT_LISTS["live"], 4444, 1, 65535])
@pytest.mark.parametrize("mode", ["paper", "live"])
def test_mode_port_and_prefix_must_agree(mode: Mode, port: int, prefix: str) -> None:
    account = f"{prefix}7654321"
    optin = permit(account=account, phrase=phrase_for("live", account))
    said = asked(mode=mode, port=port, accounts=(account,), expected=account, typed_account=account, optin=optin)
    of_prefix = {"DU": "paper", "DF": "paper", "U": "live", "F": "live"}.get(prefix)
    port_fits = port in PORT_LISTS[mode] or port not in {*PORT_LISTS["paper"], *PORT_LISTS["live"]}
    assert (said == ()) == (of_prefix == mode and port_fits)
    assert any("no known prefix" in line for line in said) == (of_prefix is None)


def test_the_ports_are_those_of_the_table() -> None:
    assert {mode: tuple(port for port in PORTS if PORTS[port] == mode) for mode in PORT_LISTS} == PORT_LISTS


@pytest.mark.control("C29")
@pytest.mark.fault(48)
def test_a_live_account_behind_a_paper_port_refuses() -> None:
    assert paper(4002, LIVE) == (f"account {LIVE} is a live account, and the mode is paper",)
    assert asked(mode="paper", port=4002) == (f"account {LIVE} is a live account, and the mode is paper",)


@pytest.mark.control("C29")
@pytest.mark.fault(48)
@pytest.mark.parametrize(
    ("accounts", "words"),
    [
        ((), "the broker tells 0 accounts (none), and must tell exactly one"),
        ((LIVE, "U7654321"), "the broker tells 2 accounts (U1234567, U7654321), and must tell exactly one"),
        ((LIVE, LIVE), "the broker tells 2 accounts"),
        ((LIVE, PAPER), "account DU1234567 is a paper account, and the mode is live"),
        (("U7654321",), "the broker's account is U7654321, and U1234567 is configured"),
        (("",), "the broker's account is empty, and U1234567 is configured"),
        ((LIVE + " ",), "no known prefix"),
        ((LIVE + "\n",), "no known prefix"),
        (("U123",), "no known prefix"),
        (("U\uff11\uff12\uff13\uff14\uff15\uff16\uff17",), "no known prefix"),
        (("All",), "no known prefix"),
    ],
)
def test_the_broker_tells_one_account_and_that_the_expected_one(accounts: tuple[str, ...], words: str) -> None:
    assert words in "; ".join(asked(accounts=accounts))


@pytest.mark.control("C29")
def test_an_account_that_is_switched_during_the_day_refuses_at_the_reconnect() -> None:
    assert asked(now=NOW) == ()
    assert asked(accounts=("U7654321",), now=NOW + timedelta(hours=3)) != ()


@pytest.mark.control("C29")
def test_without_a_configured_account_nothing_starts() -> None:
    assert "no account is configured; set ib.account in config/execution.yaml" in live_gate(
        "paper", 4002, (PAPER,), "", now=NOW
    )
    assert asked(expected="", typed_account="") != ()


@pytest.mark.control("C29")
def test_a_mode_that_is_neither_refuses() -> None:
    assert any("neither paper nor live" in line for line in asked(mode="Live"))
    assert any("neither paper nor live" in line for line in asked(mode=""))


@pytest.mark.control("C29")
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"kind": "promotion"}, "the permit is of kind promotion, not live"),
        ({"account": "U7654321"}, "the live permit is for account U7654321, not U1234567"),
        ({"limits_hash": "d" * 64}, "the live permit is bound to other limits"),
        ({"phrase": "yes"}, "the live permit was not asked for in full words"),
        ({"phrase": "trade account U7654321 with real money"}, "not asked for in full words"),
        ({"at": NOW + TICK}, "the live permit was granted in the future"),
        ({"at": NOW - timedelta(days=30) - TICK}, "the live permit is older than 30 days"),
        ({"until": NOW - TICK}, "the live permit ended on 2026-11-20 13:59 UTC"),
    ],
)
def test_each_thing_about_the_permit_is_named(changed: dict[str, Any], words: str) -> None:
    (said,) = asked(optin=permit(**changed))
    assert words in said


def test_a_permit_is_good_for_its_whole_time() -> None:
    assert asked(optin=permit(at=NOW - timedelta(days=30), until=NOW)) == ()
    assert asked(optin=permit(at=NOW)) == ()


@pytest.mark.control("C29")
def test_one_changed_byte_of_the_limits_file_ends_the_permit() -> None:
    assert asked(limits_hash="c" * 63 + "d") == ("the live permit is bound to other limits",)
    assert "the live permit is bound to other limits" in asked(limits_hash="", optin=permit(limits_hash=""))


@pytest.mark.control("C29")
@pytest.mark.parametrize("typed", ["", "u1234567", "U123456", "U1234567 ", "DU1234567", "yes"])
def test_the_account_is_typed_exactly(typed: str) -> None:
    (said,) = asked(typed_account=typed)
    assert said.startswith("the account typed at the start is")


@pytest.mark.control("C29")
@pytest.mark.parametrize(
    ("record", "words"),
    [
        (PaperRecord(19, 0, 0), "19 sessions on paper are on record, and live needs 20"),
        (NO_RECORD, "0 sessions on paper"),
        (PaperRecord(100, 1, 0), "1 invariants were violated on paper, bound 0"),
        (PaperRecord(100, 0, 2), "2 mismatches on paper were never explained, bound 0"),
        (PaperRecord(100, -1, 0), "-1 invariants"),
    ],
)
def test_the_paper_record_must_be_clean_and_long(record: PaperRecord, words: str) -> None:
    (said,) = asked(paper_sessions=record)
    assert words in said


def test_left_out_arguments_refuse_live() -> None:
    assert len(live_gate("live", 7496, (LIVE,), LIVE, now=NOW)) == 4


def promoted(evidence: str = '{"mismatches":0,"sessions":25,"violations":0}', **changed: Any) -> Permit:
    at = NOW - timedelta(days=2)
    phrase = "promote account U1234567 to real money"
    return replace(Permit("promotion", LIVE, LIMITS, evidence, phrase, at, NOW + timedelta(days=5)), **changed)


def test_a_promotion_permit_proves_its_record() -> None:
    proven = record_of(promoted(), account=LIVE, limits_hash=LIMITS, now=NOW)
    assert proven == PaperRecord(25, 0, 0)
    assert asked(paper_sessions=proven) == ()


@pytest.mark.control("C29")
@pytest.mark.parametrize(
    "wrong",
    [
        None,
        promoted(kind="live"),
        promoted(account="U7654321"),
        promoted(limits_hash="d" * 64),
        promoted(phrase=""),
        promoted(until=NOW - TICK),
        promoted(at=NOW - VALID_MAX["promotion"] - TICK),
        promoted("{}"),
        promoted("not JSON"),
        promoted("[25, 0, 0]"),
        promoted('{"mismatches":0,"sessions":25.0,"violations":0}'),
        promoted('{"mismatches":0,"sessions":"25","violations":0}'),
        promoted('{"mismatches":0,"sessions":NaN,"violations":0}'),
        promoted('{"mismatches":0,"sessions":true,"violations":0}'),
        promoted('{"mismatches":0,"sessions":25,"violations":-1}'),
    ],
)
def test_a_promotion_that_does_not_count_proves_nothing(wrong: Permit | None) -> None:
    assert record_of(wrong, account=LIVE, limits_hash=LIMITS, now=NOW) == NO_RECORD


@settings(max_examples=25)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_whatever_the_evidence_is_reading_it_never_raises(told: object) -> None:
    import json

    assert paper_record(json.dumps(told)) is None
    assert paper_record(str(told)) is None


@settings(max_examples=25)
@given(st.text(max_size=14))
def test_only_known_prefixes_with_digits_are_accounts(text: str) -> None:
    known = re.fullmatch(r"(DU|DF|U|F)[0-9]{4,12}", text)
    assert (mode_of(text) is not None) == (known is not None)


def test_every_problem_of_a_permit_is_named_at_once() -> None:
    wrong = permit(account="U7654321", limits_hash="", until=NOW - TICK)
    assert len(problem_with(wrong, "live", account=LIVE, limits_hash=LIMITS, now=NOW)) == 3
    assert problem_with(None, "live", account="", limits_hash="", now=NOW) == (
        "there is no live permit for no account",
    )


def test_live_ports_stand_in_the_gate_in_tests_and_in_pages_alone() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    read = [name for name in listed if name.endswith((".py", ".yaml", ".yml", ".toml", ".json", ".sh", ".sql", ".md"))]
    live = re.compile(r"(?<![\d.])(?:7496|4001)(?![\d.])")
    found = {
        name
        for name in read
        if not name.startswith(("tests/", "docs/", "skills/"))
        and (PROJECT / name).is_file()
        and live.search((PROJECT / name).read_text(errors="ignore"))
    }
    assert found == {"trading_assets/signatures/live_gate.py"}
