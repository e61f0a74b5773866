"""`desk doctor --verify-ledger`: whether the ledgers are what was written, and tell one story."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from desk.output import say, show
from desk.runner import prepare_home
from resources.desk import DESK, LANES, DeskResource
from trading_assets.core.errors import DeskError

if TYPE_CHECKING:
    from resources.ledger.verify import Proof

_COUNTED = ("decisions", "vetoes", "orders", "fills", "halts")


def run_verify(*, as_json: bool) -> None:
    """Proves the ledger of each lane: one line on stdout; problems on stderr, and exit code 1."""
    prepare_home()
    desk = DeskResource()
    proofs = {lane: _proof(desk, lane) for lane in LANES}
    proven = not any(_problems(proof) for proof in proofs.values())
    if as_json:
        show({"proven": proven, **{lane: _document(proof) for lane, proof in proofs.items()}}, as_json=True)
    elif proven:
        typer.echo("proven: " + "; ".join(f"{lane} {_counts(proof)}" for lane, proof in proofs.items()))
    else:
        _complain(proofs)
    if not proven:
        raise typer.Exit(1)


def _proof(desk: DeskResource, lane: str) -> "Proof | str":
    """The proof, or why the ledger cannot be opened. A backtest is walked again and has no anchor."""
    from resources.ledger.verify import verify_ledger

    head: Path | None = desk.home().journal(lane) / "HEAD" if lane == DESK else None
    try:
        return verify_ledger(desk.engine(lane), head=head)
    except DeskError as failure:
        return str(failure)


def _problems(proof: "Proof | str") -> tuple[str, ...]:
    return (proof,) if isinstance(proof, str) else proof.problems


def _counts(proof: "Proof | str") -> str:
    if isinstance(proof, str):
        return proof
    counts = ", ".join(f"{proof.rows.get(name, 0):,} {name}" for name in _COUNTED)
    return f"{proof.entries:,} journal entries up to {proof.hash[:16]}, {counts}"


def _document(proof: "Proof | str") -> dict[str, object]:
    if isinstance(proof, str):
        return {"problems": [proof]}
    return {
        "entries": proof.entries,
        "seq": proof.seq,
        "hash": proof.hash,
        "rows": dict(proof.rows),
        "problems": list(proof.problems),
        "more_problems": proof.more,
    }


def _complain(proofs: dict[str, "Proof | str"]) -> None:
    for lane, proof in proofs.items():
        for problem in _problems(proof):
            say(f"{lane}: {problem}")
        if not isinstance(proof, str) and proof.more:
            say(f"{lane}: and {proof.more:,} more")
    say("stop the desk, keep a copy of the ledger and its journal, then restore a backup")
