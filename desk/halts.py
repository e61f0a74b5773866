"""`desk halt` and `desk resume`: the operator's hand on a book."""

from desk.output import say
from desk.runner import prepare_home
from resources.desk import DeskResource


def run_halt(lane: str, reason: str) -> None:
    """Halts a book; from the next slot on it only closes positions."""
    prepare_home()
    desk = DeskResource()
    with desk.ledger(lane).session() as ledger:
        ledger.add_halt(f"operator: {reason}", as_of=desk.clock().now())
        halt = ledger.open_halt()
    say(f'book {lane} is halted; desk resume {halt.id if halt else ""} "reason" lifts it')


def run_resume(lane: str, halt_id: int, reason: str) -> None:
    """Acknowledges the open halt."""
    prepare_home()
    desk = DeskResource()
    with desk.ledger(lane).session() as ledger:
        ledger.acknowledge(halt_id, reason, as_of=desk.clock().now())
        left = ledger.open_halt()
    say(f"halt {halt_id} is acknowledged; " + (f"halt {left.id} is still open" if left else "trading may go on"))
