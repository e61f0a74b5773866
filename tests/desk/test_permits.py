"""`desk permit`: a phrase typed in full, evidence that the ledger gives, and what the live gate says of it."""

import hashlib
import io
from datetime import timedelta
from pathlib import Path

import pytest

from desk.permits import paper_record, run_permit, shown
from resources.desk import DESK, DeskResource
from resources.ledger.permits import SqlPermits
from tests.desk.at_a_broker import sent_desk, the_json, with_execution
from tests.resources.ledger.dispatching import executed
from tests.resources.ledger.entries import DAYS, at, close
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.settings import PROJECT, Home

NOW = at(DAYS[0]) + timedelta(days=40)
LIVE = "U1234567"
PHRASE, PROMOTION = f"trade account {LIVE} with real money", f"promote account {LIVE} to real money"


@pytest.fixture(autouse=True)
def _clock(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands' clock stands still."""
    monkeypatch.setenv("DESK_CLOCK", NOW.isoformat())


def permits() -> SqlPermits:
    return SqlPermits(DeskResource().engine(DESK))


def run(*words: str, phrase: str | None = None, days: int | None = None) -> None:
    run_permit(words, phrase=phrase, days=days, as_json=True)


def test_showing_grants_nothing_and_names_every_mismatch(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run("show", LIVE)
    told = the_json(capsys)
    assert (told["account"], told["account_kind"], told["live_permit"], told["promotion_permit"]) == (
        LIVE,
        "live",
        "none",
        "none",
    )
    sentences = "\n".join(told["live_gate"])
    for part in ("mode paper", "broker bars", "port 4002 belongs to paper", "no live permit", "0 sessions on paper"):
        assert part in sentences
    assert "no account is configured" in sentences


@pytest.mark.parametrize(
    ("what", "phrase"),
    [
        ("live", ""),
        ("live", PROMOTION),
        ("live", PHRASE + " "),
        ("live", PHRASE.upper()),
        ("live", "trade account U7654321 with real money"),
        ("promote", PHRASE),
        ("promote", "yes"),
    ],
)
def test_a_phrase_that_is_not_typed_to_the_letter_grants_nothing(home: Home, what: str, phrase: str) -> None:
    with pytest.raises(PermanentFailure, match="the phrase was not typed in full"):
        run(what, LIVE, phrase=phrase)
    assert permits().current("live", LIVE, as_of=NOW) is None
    assert permits().current("promotion", LIVE, as_of=NOW) is None


@pytest.mark.parametrize("account", ["DU1234567", "DF123456", "", "u1234567", "U12", "X1234567", "U1234567 "])
def test_a_permit_is_for_a_live_account(home: Home, account: str) -> None:
    with pytest.raises(PermanentFailure, match="a permit is for a live account"):
        run("live", account, phrase=f"trade account {account} with real money")


@pytest.mark.parametrize("days", [0, -1, 31, 10_000])
def test_a_permit_ends_by_itself_within_its_bound(home: Home, days: int) -> None:
    with pytest.raises(PermanentFailure, match="cannot be good for so long"):
        run("live", LIVE, phrase=PHRASE, days=days)


def test_a_permit_is_bound_to_the_limits_as_they_lie_there(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run("live", LIVE, phrase=PHRASE, days=7)
    made = permits().current("live", LIVE, as_of=NOW)
    assert made is not None
    assert made.limits_hash == hashlib.sha256((PROJECT / "config" / "preferences.yaml").read_bytes()).hexdigest()
    assert made.until == NOW + timedelta(days=7)
    said = capsys.readouterr()
    assert "live permit for U1234567, good for 7 days" in said.err
    assert "no live permit" not in said.out


def test_a_pipe_types_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(PHRASE + "\n"))
    with pytest.raises(PermanentFailure, match="typed at a terminal"):
        run("live", LIVE)
    assert permits().current("live", LIVE, as_of=NOW) is None


class Terminal(io.StringIO):
    """A person's terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "granted"), [(PHRASE + "\n", True), ("yes\n", False), ("", False)])
def test_a_person_types_the_phrase_at_a_terminal(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, granted: bool
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    if granted:
        run("live", LIVE)
        assert f"type in full: {PHRASE}" in capsys.readouterr().err
    else:
        with pytest.raises(PermanentFailure, match="not typed in full"):
            run("live", LIVE)
    assert (permits().current("live", LIVE, as_of=NOW) is not None) == granted


def test_a_permit_is_taken_back_for_a_reason(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run("live", LIVE, phrase=PHRASE)
    with pytest.raises(PermanentFailure, match="does not know what to do"):
        run("revoke", "live", LIVE)
    with pytest.raises(PermanentFailure, match="does not know what to do"):
        run("revoke", "live", LIVE, "  ")
    assert permits().current("live", LIVE, as_of=NOW) is not None
    run("revoke", "live", LIVE, "holidays")
    assert permits().current("live", LIVE, as_of=NOW) is None
    assert "is taken back" in capsys.readouterr().err


@pytest.mark.parametrize("words", [(), ("live",), ("grant", LIVE), ("live", LIVE, "now"), ("revoke", "all", LIVE, "x")])
def test_what_it_does_not_know_it_does_not_do(home: Home, words: tuple[str, ...]) -> None:
    with pytest.raises(PermanentFailure, match=r"desk permit show\|live\|promote ACCOUNT"):
        run(*words, phrase=PHRASE)


# What a promotion rests on


def settled(day: int, account: str = "DU1234567") -> None:
    """A session with an execution in an account, and its close."""
    desk = sent_desk()
    wanted = desk.submitted("AAA", 10 * day + 1, day=DAYS[day])
    booked = executed(wanted, f"e{day}", at_instant=at(DAYS[day]))
    object.__setattr__(booked.execution, "account", account)
    desk.apply(booked)
    with DeskResource().ledger(DESK).session() as ledger:
        ledger.add_settlement(close(DAYS[day]), [], [])


def test_the_record_on_paper_counts_settled_sessions_with_an_execution_in_a_paper_account(home: Home) -> None:
    for day in (0, 1):
        settled(day)
    settled(2, LIVE)
    told = paper_record(DeskResource())
    assert (told["sessions"], told["mismatches"]) == (2, 0)
    assert (told["first"], told["last"]) == (DAYS[0].isoformat(), DAYS[1].isoformat())


def test_an_open_halt_is_a_mismatch_that_nobody_explained(home: Home) -> None:
    with DeskResource().ledger(DESK).session() as ledger:
        ledger.add_halt("positions differ", as_of=NOW)
    assert paper_record(DeskResource())["mismatches"] == 1
    with DeskResource().ledger(DESK).session() as ledger:
        ledger.acknowledge(1, "a split", as_of=NOW)
    assert paper_record(DeskResource())["mismatches"] == 0


def test_a_promotion_rests_on_the_record_and_too_short_a_record_keeps_the_gate_shut(
    home: Home, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder: Path = tmp_path_factory.mktemp("live") / "config"
    ib = f"ib: {{host: 127.0.0.1, port: 5000, account: {LIVE}}}"
    with_execution(folder, f"broker: ib\nmode: live\n{ib}\n", monkeypatch)
    settled(0)
    run("promote", LIVE, phrase=PROMOTION)
    run("live", LIVE, phrase=PHRASE)
    told = shown(DeskResource(), LIVE)
    gate = "\n".join(told["live_gate"])
    assert "1 sessions on paper are on record, and live needs 20" in gate
    assert "permit" not in gate
    (folder / "preferences.yaml").write_bytes((folder / "preferences.yaml").read_bytes() + b"\n")
    gate = "\n".join(shown(DeskResource(), LIVE)["live_gate"])
    assert "the live permit is bound to other limits" in gate
    assert "0 sessions on paper" in gate


def test_what_the_permit_says_is_in_the_journal_and_on_its_pages(home: Home) -> None:
    run("live", LIVE, phrase=PHRASE)
    pages = list(home.journal(DESK).rglob("*.md"))
    assert any("live permit granted" in page.read_text() for page in pages)
