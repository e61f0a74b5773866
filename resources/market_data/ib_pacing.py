"""How often Interactive Brokers may be asked for historical bars; a faster client is refused with error 162."""

import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock


@dataclass(frozen=True, slots=True)
class PacingRules:
    """Interactive Brokers' limits, each with its window in seconds.

    At most `requests` in `window_s`, the same request not again within `identical_s`, and at most `of_one_contract` for one
    contract in `contract_s` (the sixth is the violation).
    """

    requests: int = 60
    window_s: float = 600.0
    identical_s: float = 15.0
    of_one_contract: int = 5
    contract_s: float = 2.0


class Pacing:
    """Holds requests back until the rules allow them; safe to use from many threads.

    Requests get their times in the order in which they ask, and a later one never before an earlier one.

    Args:
        rules: The limits.
        now: Seconds of a clock that never goes back.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        rules: PacingRules | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rules = rules or PacingRules()
        self._now = now
        self._sleep = sleep
        self._lock = Lock()
        self._granted: deque[float] = deque(maxlen=self._rules.requests)
        self._of_contract: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=self._rules.of_one_contract))
        self._of_request: dict[object, float] = {}

    def wait(self, contract: str, request: object) -> float:
        """Waits until `request` about `contract` may be sent, and returns the seconds that it waited."""
        with self._lock:
            at = self._reserved(contract, request, self._now())
        waited = max(at - self._now(), 0.0)
        if waited:
            self._sleep(waited)
        return waited

    def _reserved(self, contract: str, request: object, now: float) -> float:
        rules, of_contract = self._rules, self._of_contract[contract]
        bounds = [now]
        if self._granted:
            bounds.append(self._granted[-1])
        if len(self._granted) == rules.requests:
            bounds.append(self._granted[0] + rules.window_s)
        if len(of_contract) == rules.of_one_contract:
            bounds.append(of_contract[0] + rules.contract_s)
        if request in self._of_request:
            bounds.append(self._of_request[request] + rules.identical_s)
        at = max(bounds)
        self._forget_before(at - rules.identical_s)
        self._granted.append(at)
        of_contract.append(at)
        self._of_request[request] = at
        return at

    def _forget_before(self, moment: float) -> None:
        self._of_request = {request: at for request, at in self._of_request.items() if at > moment}


@lru_cache(maxsize=16)
def pacing_of(host: str, port: int) -> Pacing:
    """The pacing of a Gateway that all its users in this process share."""
    del host, port
    return Pacing()
