"""The connection: its beginning, its proof of account, its signs of life, and what the broker says about itself."""

import logging
from datetime import datetime, timedelta

from gateway.means import Means, Setup
from gateway.reducer import Reducer
from gateway.sender import Sender
from gateway.view import View
from trading_assets.broker.model import Contract, Noticed, Welcome
from trading_assets.broker.ports import BrokerDown
from trading_assets.broker.settings import clock_time
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import PermanentFailure, TradingHalted

_LOG = logging.getLogger("desk.gateway")
_BACK_OFF_S, _BACK_OFF_S_MAX = 0.5, 30.0
_NONE, _LEAST, _SECOND = timedelta(0), timedelta(microseconds=1), timedelta(seconds=1)


def skew(told: datetime, asked: datetime, answered: datetime) -> timedelta:
    """By how much the broker's clock is ahead of ours at least, negative when it is behind.

    A broker tells the second that has begun, and answers at some moment between question and answer: what that explains is no skew.
    """
    ahead, behind = told - answered, told + _SECOND - _LEAST - asked
    return ahead if ahead > _NONE else min(behind, _NONE)


class Linker:
    """Connects under the fixed client id, and never under another."""

    def __init__(self, setup: Setup, means: Means, view: View, sender: Sender, reducer: Reducer) -> None:
        self._setup = setup
        self._means = means
        self._view = view
        self._sender = sender
        self._reducer = reducer
        self._tries = 0
        self._next_try = self._probed = self._looked = float("-inf")
        self._wants_look = False
        self.account = setup.account
        self.account_problem = "the broker has not said which account it is"

    async def connect(self) -> None:
        """Opens the connection and proves the account. TradingHalted names every mismatch; the connection is closed then."""
        welcome = await self._means.broker.connect()
        now = self._means.clock.now()
        self._prove(welcome, now)
        if self.account_problem:
            await self._means.broker.close()
            raise TradingHalted(
                "mode, port and account do not belong together",
                value=self.account_problem,
                hint="config/execution.yaml",
            )
        self._view.clock_skew = skew(welcome.server_time, now, now)
        self._sender.greet(welcome.next_order_id)
        self._reducer.connected_anew()
        self._view.link = "reconciling"
        self._view.contracts.clear()
        self._tries = 0
        self._probed = self._means.monotonic()
        self._means.points("connected")

    async def resolve(self) -> None:
        """Asks once a connection what each symbol stands for, and watches those that stand for one contract."""
        missing = [symbol for symbol in self._symbols() if symbol not in self._view.contracts]
        for symbol in missing:
            self._view.contracts[symbol] = await self._resolved(symbol)
        if missing:
            self.watch()

    def watch(self) -> None:
        """Asks for quotes of every symbol that stands for one contract; a connection that is gone is not asked, the next one is."""
        if not self._means.broker.is_connected:
            return
        found = [self._view.contract(symbol) for symbol in sorted(self._view.contracts)]
        self._means.broker.watch([contract for contract in found if contract is not None])

    async def reconnect(self) -> bool:
        """Another try when it is due; each failure doubles the pause."""
        if self._means.monotonic() < self._next_try:
            return False
        try:
            await self.connect()
        except BrokerDown as down:
            self._tries += 1
            self._next_try = self._means.monotonic() + min(_BACK_OFF_S * 2 ** min(self._tries, 10), _BACK_OFF_S_MAX)
            _LOG.warning("no connection to the broker, try %s: %s", self._tries, down)
            return False
        except TradingHalted as mismatch:
            self._next_try = self._means.monotonic() + _BACK_OFF_S_MAX
            self._means.store.halt(f"C29 account: {mismatch.value}", as_of=self._means.clock.now())
            return False
        return True

    async def probe(self) -> None:
        """Asks the broker for its time; whoever does not answer is not connected, whatever the socket says."""
        if self._means.monotonic() - self._probed < self._setup.settings.rhythm.probe_seconds:
            return
        self._probed, asked = self._means.monotonic(), self._means.clock.now()
        try:
            told = await self._means.broker.time()
        except BrokerDown as silent:
            await self._means.broker.close()
            self.lost(f"no answer to a question for the time: {silent}")
            return
        self._view.clock_skew = skew(told, asked, self._means.clock.now())

    def lost(self, reason: str) -> None:
        """The connection is gone: nothing is known until the next complete look."""
        self._view.link = "down"
        self._view.clock_skew = None
        now = self._means.clock.now()
        _LOG.warning("the connection to the broker is gone: %s", reason)
        if not self._is_restart(now):
            self._means.pager.page("warning", "link", f"the connection to the broker is gone: {reason}", as_of=now)

    def is_look_due(self) -> bool:
        """Whether the account is to be read again now; the answer counts as done."""
        now = self._means.monotonic()
        if not self._wants_look and now - self._looked < self._setup.settings.rhythm.reconcile_seconds:
            return False
        self._wants_look, self._looked = False, now
        return True

    def want_look(self) -> None:
        """The next look is not to wait for its time."""
        self._wants_look = True

    def noticed(self, notice: Noticed) -> None:
        """Does what a notice of the broker asks for."""
        _LOG.info("the broker says %s: %s", notice.code, notice.text)
        what = f"broker {notice.code}: {notice.text}"
        match notice.reaction:
            case "link_lost":
                self._view.link = "broken"
                self._means.pager.page("warning", "link", what, as_of=self._means.clock.now())
            case "link_back" | "link_back_data_lost":
                self._back(notice.reaction == "link_back_data_lost")
            case "data_back":
                self.watch()
            case "no_live_data":
                self._view.problems["data"] = what
            case "competing_login" | "refuse_to_start" | "protocol":
                self._means.store.halt(what, as_of=self._means.clock.now())
                self.want_look()
            case "ignore" | "order_lives" | "data_lost":
                pass
            case "pacing" | "no_contract":
                self._means.pager.page("warning", notice.reaction, what, as_of=self._means.clock.now())
                self.want_look()
            case _:
                self.want_look()

    def _back(self, data_lost: bool) -> None:
        """The broker has its line again: nothing opens before a complete look, for fills may have happened meanwhile."""
        if self._view.link == "broken":
            self._view.link = "reconciling"
        if data_lost:
            self._view.quotes.clear()
        self.watch()
        self.want_look()

    def _prove(self, welcome: Welcome, now: datetime) -> None:
        problems = self._setup.gate(welcome.accounts, now)
        if not problems and len(welcome.accounts) == 1 and self.account in {"", welcome.accounts[0]}:
            self.account, self.account_problem = welcome.accounts[0], ""
            return
        told = problems or (
            f"the broker answers for {', '.join(welcome.accounts) or 'no account'}, not for {self.account}",
        )
        self.account_problem = "; ".join(told)

    async def _resolved(self, symbol: str) -> tuple[Contract, ...]:
        try:
            found = await self._means.broker.resolve(symbol)
            for contract in found if len(found) == 1 else ():
                self._means.store.keep_contract(contract, as_of=self._means.clock.now())
        except PermanentFailure as other:
            self._means.pager.page("critical", "contract", str(other), as_of=self._means.clock.now())
            return ()
        except BrokerDown as silent:
            _LOG.warning("no answer on %s: %s", symbol, silent)
            return ()
        return found

    def _symbols(self) -> list[str]:
        held = [each.symbol for each in self._view.snapshot.positions] if self._view.snapshot is not None else []
        return sorted({*self._setup.symbols, *held})

    def _is_restart(self, now: datetime) -> bool:
        """Whether refused connections are expected now: the Gateway restarts itself every night."""
        ib, clock = self._setup.settings.ib, now.astimezone(NEW_YORK).time()
        begin, end = clock_time(ib.restart_from), clock_time(ib.restart_until)
        return begin <= clock < end if begin <= end else clock >= begin or clock < end
