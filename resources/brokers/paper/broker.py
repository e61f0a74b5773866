"""The paper broker as a member of the broker's port: an account in a file, a feed of quotes, and an event loop that joins them.

Nothing but this file of account data stands between processes: each connected one moves the market with its own feed, so that the
watchdog can flatten while the gateway is stopped. Orders wait in memory until the loop writes them, as they would in the buffer
of a socket; `drain` waits for that. A transaction that fails ends the connection, and what was not written never existed.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, TypeVar

from resources.brokers.feeds import QuoteFeed
from resources.brokers.paper.account import AccountFile
from resources.brokers.paper.book import Book, Costs
from resources.brokers.paper.client_id import ClientIdLock
from resources.brokers.paper.exchange import Exchange, expired
from resources.brokers.paper.impact import impact_of
from resources.brokers.paper.wording import stored, vars_of
from trading_assets.broker.model import (
    BrokerEvent,
    Commission,
    Contract,
    Disconnected,
    MarginImpact,
    Noticed,
    OrderRequest,
    Quote,
    Quoted,
    Snapshot,
    Welcome,
)
from trading_assets.broker.ports import BrokerDown, Listener, SnapshotIncomplete
from trading_assets.core.errors import DeskError, PermanentFailure
from trading_assets.core.ports import Clock

LOOK_S: Final = 0.05
FEED_AGAIN_S: Final = 2.0
KEEP_S: Final = 5.0
HISTORY: Final = timedelta(days=7)
_CON_ID_BITS = 31
Answer = TypeVar("Answer")
Step = Callable[[Exchange, datetime], None]


class PaperBroker:
    """One connection to the paper account.

    Args:
        path: The account's file, made when it is not there.
        client_id: The fixed client id of this connection.
        costs: Fees, slippage and volume share.
        feed: Where quotes come from.
        clock: The desk's clock.
        starting_cash: USD in a new account.
    """

    def __init__(
        self,
        path: Path,
        *,
        client_id: int,
        costs: Costs,
        feed: QuoteFeed,
        clock: Clock,
        starting_cash: Decimal = Decimal(100_000),
        busy_s: float = 2.0,
    ) -> None:
        self._account = AccountFile(path, starting_cash=starting_cash, busy_s=busy_s)
        self._lock = ClientIdLock(self._account.path, client_id)
        self._client_id, self._costs, self._feed, self._clock = client_id, costs, feed, clock
        self._listener: Listener | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._outbox: list[tuple[Step, int]] = []
        self._told: list[Quote] = []
        self._unkept = False
        self._newest: dict[str, Quote] = {}
        self._watched: set[str] = set()
        self._cursor = 0
        self._bytes = 0
        self._connected = False

    @property
    def name(self) -> str:
        """`paper`."""
        return "paper"

    @property
    def client_id(self) -> int:
        """The fixed client id of this connection."""
        return self._client_id

    @property
    def is_connected(self) -> bool:
        """Whether orders can be sent."""
        return self._connected

    @property
    def account_file(self) -> AccountFile:
        """The file behind the connection."""
        return self._account

    def listen(self, listener: Listener) -> None:
        """See the port."""
        self._listener = listener

    async def connect(self) -> Welcome:
        """See the port. The first connection makes the account; an account or a feed that cannot be used is a DeskError."""
        await self.close()
        self._lock.take()
        try:
            self._account.open(self._clock.now())
            await self._feed.open()
            welcome = self._welcomed()
        except BaseException:
            self._let_go()
            raise
        self._connected = True
        self._tasks = [asyncio.create_task(self._look()), asyncio.create_task(self._follow())]
        for task in self._tasks:
            task.add_done_callback(self._ended)
        # What the feed knows already is heard before the first order can be written.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return welcome

    def _welcomed(self) -> Welcome:
        self._cursor, self._bytes = self._account.newest_event(), 0
        book = self._account.book()
        self._feed.watch(book.symbols)
        used = self._account.order_ids(self._client_id)
        return Welcome((book.account,), (used[-1] if used else 0) + 1, self._clock.now())

    async def close(self) -> None:
        """See the port. What waits is written first, as a socket sends what is in its buffer."""
        self._flush()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._let_go()

    def _let_go(self) -> None:
        self._connected = False
        self._outbox.clear()
        self._told.clear()
        self._newest.clear()
        self._watched.clear()
        self._account.close()
        self._lock.give_back()

    async def snapshot(self) -> Snapshot:
        """See the port. One read transaction; orders and fills go back seven days."""
        self._require_connection()
        now = self._clock.now()
        try:
            book, orders, fills = self._asked(lambda: self._account.history(now - HISTORY))
        except (ValueError, TypeError, LookupError) as unreadable:
            raise SnapshotIncomplete(
                f"a row of the paper account cannot be read: {unreadable!r}", value=self._account.path
            ) from unreadable
        self._shown(book)
        return Snapshot(
            at=now,
            accounts=(book.account,),
            positions=tuple(book.holdings[symbol].told(book.account) for symbol in sorted(book.holdings)),
            open_orders=tuple(order.report(book.account) for order in orders if order.is_open),
            completed_orders=tuple(order.report(book.account) for order in orders if not order.is_open),
            executions=tuple(fill.execution for fill in fills),
            commissions=tuple(Commission(fill.execution.exec_id, fill.fee) for fill in fills),
            values=book.values(),
        )

    def place(self, orders: Sequence[OrderRequest]) -> None:
        """See the port. The orders of one call are one transaction."""
        given = tuple(orders)

        def step(exchange: Exchange, now: datetime) -> None:
            ids = [number for order in given for number in (order.order_id, order.parent_id)]
            taken = self._account.recall(exchange, self._client_id, ids)
            exchange.place(given, client_id=self._client_id, taken=taken, now=now)

        self._feed.watch(sorted({order.contract.symbol for order in given}))
        self._send(step, sum(len(repr([stored(v) for v in vars_of(order).values()])) for order in given))

    def cancel(self, order_id: int) -> None:
        """See the port."""

        def step(exchange: Exchange, _: datetime) -> None:
            known = self._account.recall(exchange, self._client_id, [order_id])
            exchange.cancel(order_id, client_id=self._client_id, ended=bool(known))

        self._send(step, len(f"cancel {order_id}"))

    def cancel_everything(self) -> None:
        """See the port."""
        self._send(lambda exchange, _: exchange.cancel_everything(), len("cancel everything"))

    async def drain(self) -> int:
        """See the port. BrokerDown when the account could not be written: then nothing of what waited was."""
        self._require_connection()
        self._flush()
        self._require_connection()
        return self._bytes

    async def time(self) -> datetime:
        """See the port."""
        self._require_connection()
        self._asked(self._account.is_changed)
        return self._clock.now()

    async def resolve(self, symbol: str) -> tuple[Contract, ...]:
        """See the port. One contract for a symbol that the feed knows; the account takes orders in it from then on."""
        self._require_connection()
        if not await self._feed.knows(symbol):
            return ()
        contract = Contract(symbol, con_id_of(symbol), primary_exchange="PAPER")
        self._asked(lambda: self._account.list_contract(contract))
        return (contract,)

    async def what_if(self, order: OrderRequest) -> MarginImpact:
        """See the port. Half of the gross value is the initial margin, a quarter the maintenance margin."""
        self._require_connection()
        return impact_of(order, self._shown(self._asked(self._account.book)), self._costs)

    def watch(self, contracts: Sequence[Contract]) -> None:
        """See the port."""
        self._require_connection()
        symbols = {contract.symbol for contract in contracts}
        self._watched |= symbols
        self._feed.watch(sorted(symbols))
        shown = [self._newest[symbol] for symbol in sorted(symbols & self._newest.keys())]
        asyncio.get_running_loop().call_soon(self._tell_quotes, shown)

    def _send(self, step: Step, size: int) -> None:
        self._require_connection()
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outbox.append((step, size))

    def _flush(self) -> None:
        """Writes what waits, in one transaction, and tells what came of it."""
        if not self._connected or not self._outbox:
            return
        waiting, self._outbox = self._outbox, []

        def together(exchange: Exchange, now: datetime) -> None:
            for step, _ in waiting:
                step(exchange, now)

        if self._written(together):
            self._bytes += sum(size for _, size in waiting)

    def _written(self, step: Step) -> bool:
        """One transaction, for which the market shows what it has shown this process; False when the connection broke."""
        now = self._clock.now()
        try:
            with self._account.changing(self._costs, now) as exchange:
                exchange.show(self._newest.values())
                step(exchange, now)
            self._unkept = False
            self._deliver()
        except (BrokerDown, PermanentFailure) as broken:
            self._break(broken)
            return False
        return True

    def _shown(self, book: Book) -> Book:
        """The book with the market as this process has seen it."""
        Exchange(book, self._costs).show(self._newest.values())
        return book

    def _would_change(self, step: Step) -> bool:
        """Whether a step does more than move the market; if not, the book in memory shows the market as it is then."""
        book = self._asked(self._account.book)
        trial = Exchange(book.copied(), self._costs)
        trial.show(self._newest.values())
        step(trial, self._clock.now())
        if not trial.changed:
            book.views = trial.book.views
        return trial.changed

    def _hear(self, quotes: Sequence[Quote]) -> None:
        """The feed tells quotes; those of one moment are taken together."""
        if self._connected and quotes:
            if not self._told:
                asyncio.get_running_loop().call_soon(self._advance)
            self._told.extend(quotes)

    def _advance(self) -> None:
        """The market moves. What moves no order is kept in memory, and in the file from time to time."""
        told, self._told = self._told, []
        if not self._connected or not told:
            return
        self._tell_quotes(told)

        def step(exchange: Exchange, _: datetime) -> None:
            for quote in told:
                exchange.quote(quote)

        with suppress(BrokerDown, PermanentFailure):
            if self._would_change(step):
                self._written(step)
            else:
                self._unkept = True
        self._newest.update({quote.symbol: quote for quote in told})

    def _tell_quotes(self, quotes: Sequence[Quote]) -> None:
        for quote in quotes:
            if quote.symbol in self._watched:
                self._tell(Quoted(quote))

    async def _look(self) -> None:
        """Hears what other processes did, ends day orders, and keeps the newest quotes for who has no feed."""
        loop = asyncio.get_running_loop()
        kept = loop.time()
        while self._connected:
            await asyncio.sleep(LOOK_S)
            with suppress(BrokerDown, PermanentFailure):
                self._look_once()
            if self._unkept and loop.time() - kept >= KEEP_S:
                kept = loop.time()
                self._written(lambda *_: None)

    def _look_once(self) -> None:
        if self._asked(self._account.is_changed):
            self._feed.watch(self._asked(self._account.book).symbols)
            self._deliver()
            if self._would_change(_meet_all):
                self._written(_meet_all)
        if self._connected and expired(self._asked(self._account.book), self._clock.now()):
            self._written(Exchange.expire)

    async def _follow(self) -> None:
        """Runs the feed; when it fails in passing, that is told, and it is asked again."""
        lost = False

        def tell(quotes: Sequence[Quote]) -> None:
            nonlocal lost
            if lost:
                lost = False
                self._tell(Noticed(2104, f"quotes of {self._feed.name} are back", "data_back"))
            self._hear(quotes)

        while self._connected:
            try:
                await self._feed.run(tell)
            except DeskError as failed:
                if not lost:
                    self._tell(Noticed(2103, f"no quotes of {self._feed.name}: {failed}", "data_lost"))
                lost = True
            await asyncio.sleep(FEED_AGAIN_S)

    def _deliver(self) -> None:
        for number, client_id, event in self._account.events(self._cursor):
            self._cursor = number
            if client_id == self._client_id:
                self._tell(event)

    def _tell(self, event: BrokerEvent) -> None:
        """Each event is a call of its own: a listener that fails stops neither this broker nor the next event."""
        if self._listener is not None:
            asyncio.get_running_loop().call_soon(self._listener, event)

    def _asked(self, question: Callable[[], Answer]) -> Answer:
        """What the account answers; a failure ends the connection."""
        try:
            return question()
        except (BrokerDown, PermanentFailure) as broken:
            self._break(broken)
            raise BrokerDown(
                f"the connection to the paper account broke: {broken}", value=self._account.path
            ) from broken

    def _break(self, why: Exception) -> None:
        if self._connected:
            for task in self._tasks:
                task.cancel()
            self._let_go()
            self._tell(Disconnected(str(why)))

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task that fails leaves nobody to match orders: that is no connection."""
        if not task.cancelled() and (failed := task.exception()) is not None:
            self._break(failed if isinstance(failed, Exception) else RuntimeError(repr(failed)))

    def _require_connection(self) -> None:
        if not self._connected:
            raise BrokerDown(
                "there is no connection to the paper account",
                value=self._account.path,
                hint="connect first; nothing was written",
            )


def con_id_of(symbol: str) -> int:
    """The number of a symbol's contract, the same in every account."""
    return int(hashlib.sha256(symbol.encode()).hexdigest(), 16) % 2**_CON_ID_BITS or 1


def _meet_all(exchange: Exchange, now: datetime) -> None:
    for symbol in exchange.book.symbols:
        exchange.meet(symbol, now)
