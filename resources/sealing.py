"""Three seals on what a decision approved, by three keys; the fact checker reads everything once more before its own.

It runs right after the decision is committed: what is not sealed within the minute is never sent.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from resources.keys import KeyRing
from resources.ledger.dispatch import SqlDispatch
from trading_assets.briefs.facts import Facts
from trading_assets.core.errors import TradingHalted
from trading_assets.core.ports import Clock
from trading_assets.execution.sealing import ToSeal
from trading_assets.signatures.fact_checker import recheck
from trading_assets.signatures.model import SIGNERS, Signer, Verdict
from trading_assets.signatures.signing import sign


@dataclass(frozen=True)
class Sealing:
    """Puts seals on intents.

    Args:
        read: The facts as they were knowable at an instant, read from the lake anew.
        held: Whole shares by symbol as the broker last told them; None where it never told any.
        valid: How long a seal is good for.
    """

    store: SqlDispatch
    keys: KeyRing
    read: Callable[[datetime], Facts]
    held: Callable[[], Mapping[str, int] | None]
    clock: Clock
    valid: timedelta

    def seal(self, approved: Sequence[ToSeal]) -> None:
        """Seals each intent three times, or refuses it with the fact checker's second verdict.

        An intent that has ended meanwhile takes no seal; its journal says why, and the others go on.
        """
        held = self.held() if approved else None
        for each in approved:
            with suppress(TradingHalted):
                self._seal_or_refuse(each, held)

    def _seal_or_refuse(self, each: ToSeal, held: Mapping[str, int] | None) -> None:
        again = recheck(each.intent.plan, self.read, each.said, mind=each.mind, held=held, quote=None)
        now = self.clock.now()
        if again.ruling == "veto":
            # One ruling for each signer stands already; this one is the reason not to send.
            self.store.refuse(each.intent.id, again.model_copy(update={"signer": "signing"}), as_of=now)
        else:
            self._seal(each, now)

    def _seal(self, each: ToSeal, now: datetime) -> None:
        by_signer: Mapping[str, Verdict] = {verdict.signer: verdict for verdict in each.verdicts}
        seals = [
            sign(
                each.intent,
                by_signer[signer],
                key=self._key(signer),
                signed_at=now,
                valid=self.valid,
            )
            for signer in SIGNERS
        ]
        self.store.seal(seals, as_of=now)

    def _key(self, signer: Signer) -> bytes:
        return self.keys.signing(signer)
