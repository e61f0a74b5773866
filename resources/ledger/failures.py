"""What a database refuses, in the desk's words; each database has its own table of codes."""

from collections.abc import Sequence
from dataclasses import dataclass

from trading_assets.core.errors import DeskError, PermanentFailure, TransientFailure

HELD = "another process holds it; wait until that process ends, then run this again"
FULL_DISK = "make room on the disk, then run this again"
BROKEN_DISK = "mend the disk, then run this again"
DAMAGED = "restore a backup; desk doctor examines it"


class OutcomeUnknown(TransientFailure):
    """The database failed while it was told to commit: everything of the transaction is stored, or nothing is.

    Whoever catches this reads again by the key of what was written; the unique indexes refuse whoever simply writes it twice.
    """


@dataclass(frozen=True, slots=True)
class Reaction:
    """How a database's own code is told: as which failure, and what to do next."""

    failure: type[DeskError]
    hint: str

    def tell(self, refused: BaseException | None, ledger: str) -> DeskError:
        """The failure, with the database's own sentence and the ledger's name."""
        return self.failure(f"the ledger refused: {_sentence(refused)}", value=ledger, hint=self.hint)


def passing(codes: Sequence[str | int], hint: str) -> dict[str | int, Reaction]:
    """Codes after which a later retry can succeed."""
    return dict.fromkeys(codes, Reaction(TransientFailure, hint))


def lasting(codes: Sequence[str | int], hint: str) -> dict[str | int, Reaction]:
    """Codes after which a person must change something."""
    return dict.fromkeys(codes, Reaction(PermanentFailure, hint))


UNKNOWN_OUTCOME = Reaction(
    OutcomeUnknown, "read again by its key whether it was stored; what was stored must not be made anew"
)


def _sentence(refused: BaseException | None) -> str:
    """The first line of what the database said: the lines after it are about its own insides."""
    return str(refused).strip().split("\n")[0]
