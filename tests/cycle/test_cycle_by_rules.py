"""What stands between an opinion and an order, on a busy slot of the simulated market: citations, stance, halts, proposals."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from resources.ledger import schema as t
from resources.ledger.engine import open_ledger, reading
from resources.ledger.store import SqlLedger
from tests.cycle.worlds import BEFORE_OPEN, book_at, busy_slot, decided, desk_rules, frames
from tests.execution.world import opinions_on, world_of
from trading_assets.briefs.facts import FactBook
from trading_assets.execution.cycle import SlotResult, decide_slot
from trading_assets.execution.looking import World, look
from trading_assets.execution.opinions import opinions_from
from trading_assets.execution.thinking import think
from trading_assets.plans.model import Proposal

Rows = dict[str, list[dict[str, Any]]]


def said(change: Callable[[Rows], None] | None = None) -> World:
    """The world of the busy slot, with what was said before its open changed."""
    session = busy_slot().session
    rows = opinions_on({session: FactBook(frames()).at(session.open - BEFORE_OPEN)}).rows
    if change:
        change(rows)
    world = world_of(frames())
    return replace(world, counsel=replace(world.counsel, said=opinions_from(rows)))


def entered(result: SlotResult) -> list[str]:
    return sorted(intent.plan.symbol for intent in result.intents if intent.plan.opens)


def notes(file: Path) -> list[tuple[str, str]]:
    """Title and symbol of each note in the journal."""
    with reading(open_ledger(file, durability="NORMAL", lane="desk")) as connection:
        rows = connection.execute(t.JOURNAL.select().where(t.JOURNAL.c.kind == "note")).mappings()
        return [(row["title"], row["symbol"]) for row in rows]


def test_the_busy_slot_enters_something(tmp_path: Path) -> None:
    """Else the refusals below would prove nothing."""
    assert entered(decided(said(), busy_slot(), book_at(tmp_path / "book.sqlite")))


def test_a_brief_whose_citation_no_longer_stands_is_dropped_and_journaled(tmp_path: Path) -> None:
    symbol = entered(decided(said(), busy_slot(), book_at(tmp_path / "true.sqlite")))[0]

    def lie(rows: Rows) -> None:
        for row in rows["analyst_briefs"]:
            if (row["agent"], row["symbol"]) == ("technical", symbol):
                cited = json.loads(row["evidence"])
                number = next(one for one in cited if isinstance(one["value"], float))
                number["value"] += 0.01
                row["evidence"] = json.dumps(cited)

    file = tmp_path / "lied.sqlite"
    result = decided(said(lie), busy_slot(), book_at(file))
    assert ("technical not believed", symbol) in notes(file)
    assert symbol not in entered(result)


def test_without_a_stance_nothing_opens(tmp_path: Path) -> None:
    silent = said(lambda rows: rows["stances"].clear())
    assert entered(decided(silent, busy_slot(), book_at(tmp_path / "book.sqlite"))) == []


def test_a_debate_in_which_one_side_is_silent_opens_nothing_new(tmp_path: Path) -> None:
    def no_bear(rows: Rows) -> None:
        rows["debates"][:] = [row for row in rows["debates"] if row["side"] == "bull"]

    assert entered(decided(said(no_bear), busy_slot(), book_at(tmp_path / "book.sqlite"))) == []


def test_without_a_quorum_of_analysts_nothing_opens(tmp_path: Path) -> None:
    def only_technical(rows: Rows) -> None:
        rows["analyst_briefs"][:] = [row for row in rows["analyst_briefs"] if row["agent"] == "technical"]

    assert entered(decided(said(only_technical), busy_slot(), book_at(tmp_path / "book.sqlite"))) == []


def test_a_halt_that_comes_while_the_agents_think_is_seen(tmp_path: Path) -> None:
    world, slot, rules = said(), busy_slot(), desk_rules()
    ledger = book_at(tmp_path / "book.sqlite")
    with ledger.reading() as looking:
        thoughts = think(look(slot, world, rules, looking), rules, world.counsel)
    assert thoughts.votes
    with ledger.session() as writing:
        writing.add_halt("operator: stop", as_of=slot.at)
    with ledger.session() as writing:
        result = decide_slot(slot, world, rules, writing, thoughts=thoughts)
    assert (result.decision.state, entered(result)) == ("HALTED", [])


def proposed(ledger: SqlLedger, symbol: str, strategy: str) -> str:
    proposal = Proposal(
        id=f"asked-{symbol}",
        at=busy_slot().at - BEFORE_OPEN,
        author="operator",
        symbol=symbol,
        side="long",
        strategy=strategy,
        reason="it looks right",
    )
    with ledger.session() as writing:
        writing.propose(proposal)
    return proposal.id


def test_a_proposal_takes_the_same_way_as_any_other_candidate(tmp_path: Path) -> None:
    own = decided(said(), busy_slot(), book_at(tmp_path / "own.sqlite"))
    plan = next(intent.plan for intent in own.intents if intent.plan.opens)
    ledger = book_at(tmp_path / "asked.sqlite")
    name = proposed(ledger, plan.symbol, plan.strategy)
    result = decided(said(), busy_slot(), ledger)
    asked = next(intent.plan for intent in result.intents if intent.plan.symbol == plan.symbol)
    assert (asked.proposal, asked.quantity, asked.entry, asked.stop) == (name, plan.quantity, plan.entry, plan.stop)
    assert result.judged[0][1].signer == "risk_gate"


def test_a_proposal_without_a_setup_is_refused_with_its_reason_and_nothing_is_bought_for_it(tmp_path: Path) -> None:
    taken = set(entered(decided(said(), busy_slot(), book_at(tmp_path / "own.sqlite"))))
    symbol = next(s for s in desk_rules().settings.market.symbols if s not in taken)
    file = tmp_path / "asked.sqlite"
    ledger = book_at(file)
    proposed(ledger, symbol, "momentum_breakout")
    result = decided(said(), busy_slot(), ledger)
    assert symbol not in entered(result)
    assert ("proposal refused", symbol) in notes(file)


def test_deciding_twice_from_the_same_words_gives_the_same_bytes(tmp_path: Path) -> None:
    results = [decided(said(), busy_slot(), book_at(tmp_path / f"{n}.sqlite")) for n in (1, 2)]
    assert repr(results[0]) == repr(results[1])
