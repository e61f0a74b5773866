"""What the market and the clock make the gateway do by itself, within the moment and without asking anybody."""

import logging
from collections.abc import Iterable

from gateway.brackets import legs_at_broker
from gateway.means import Means, Setup
from gateway.reducer import Reducer
from gateway.view import View, positions
from trading_assets.broker.bars import Bars
from trading_assets.broker.lifecycle import Known, LegRole
from trading_assets.broker.model import MinuteBar, Quote
from trading_assets.broker.ports import BrokerDown
from trading_assets.broker.reactions import (
    SESSION_ENDS,
    Alarm,
    CloseEntries,
    Flatten,
    Held,
    Trim,
    Wanted,
    new_board,
    on_quote,
    on_time,
    with_positions,
)
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.messages import BarClosed, Draft
from trading_assets.execution.ports import Intent

_LOG = logging.getLogger("desk.gateway")
SENDER = "gateway"
SECONDS = 60
FLATTENS = ("C11", "C12", "flatten")
"""How the cause of a halt begins that wants everything sold."""


class Reactor:
    """Quotes and time in, reductions out."""

    def __init__(self, setup: Setup, means: Means, view: View, reducer: Reducer) -> None:
        self._setup = setup
        self._means = means
        self._view = view
        self._reducer = reducer
        self._bars = Bars()
        self._board = new_board(setup.settings.reactions, setup.symbols, now=means.clock.now())
        self._seen: Known | None = None
        self._entries: dict[str, Intent] = {}
        self._untold: list[Draft] = []

    async def on_quote(self, quote: Quote) -> None:
        """Takes a quote into the picture, and does what the market asks for."""
        self._view.hear(quote)
        if quote.kind == "live":
            self._view.problems.pop("data", None)
        self._refresh()
        self._board, wanted = on_quote(self._board, quote, self._means.clock.now())
        for each in wanted:
            await self._do(each)
        self._tell(self._bars.add(quote))

    async def on_time(self) -> None:
        """What halts and the hour ask for; nothing is sent over a link that is not up."""
        now = self._means.clock.now()
        self._tell(self._bars.close(now))
        if self._view.link in {"down", "reconciling"}:
            return
        self._refresh()
        before = self._board.session
        self._board, wanted = on_time(self._board, now)
        if self._board.session != before:
            self._view.closed.clear()
        for each in wanted:
            await self._do(each)
        await self._reducer.escalate(now)
        await self._obey_halts()

    async def _obey_halts(self) -> None:
        """A halt cancels entries; losses that halt, and halts that say so, want everything sold."""
        for halt in self._view.halts[:1]:
            self._reducer.cancel_entries("", f"halted: {halt.cause}")
        asking = [halt for halt in self._view.halts if halt.cause.startswith(FLATTENS)]
        if asking:
            await self._reducer.flatten_all(asking[0].cause, f"halt-{asking[0].id}")
        elif self._view.ruling.flatten:
            day = self._means.clock.now().astimezone(NEW_YORK).date()
            await self._reducer.flatten_all(self._view.ruling.reason, f"losses-{day.isoformat()}")

    async def _do(self, wanted: Wanted) -> None:
        """One reaction. Without a connection it comes again: what is wanted by time or price is asked for until it is done."""
        try:
            match wanted:
                case Flatten():
                    role: LegRole = "close" if wanted.cause == SESSION_ENDS else "flatten"
                    await self._reducer.take_off(wanted.symbol, role, wanted.quantity, wanted.cause, wanted.occasion)
                case Trim():
                    await self._reducer.take_off(
                        wanted.symbol, "exit", wanted.quantity, wanted.cause, wanted.occasion, capped=True
                    )
                case CloseEntries():
                    self._view.closed[wanted.symbol] = wanted.cause
                    self._reducer.cancel_entries(wanted.symbol, wanted.cause)
                case Alarm():
                    now = self._means.clock.now()
                    self._means.pager.page(wanted.severity, wanted.code, wanted.sentence, as_of=now)
        except BrokerDown as down:
            _LOG.error("%s could not be done: %s", wanted, down)

    def _refresh(self) -> None:
        """Positions for the board, when the picture of them is another than last time."""
        known = self._view.known
        if known is self._seen:
            return
        self._seen = known
        held = positions(known)
        missing = sorted(held.keys() - self._entries.keys())
        if missing:
            self._entries.update(self._means.entries(missing))
        self._entries = {symbol: intent for symbol, intent in self._entries.items() if symbol in held}
        self._board = with_positions(self._board, self._held(held.items()))

    def _held(self, positions_held: Iterable[tuple[str, int]]) -> Iterable[Held]:
        costs = (
            {each.symbol: each.average_cost for each in self._view.snapshot.positions} if self._view.snapshot else {}
        )
        for symbol, quantity in positions_held:
            intent = self._entries.get(symbol)
            plan = intent.plan if intent is not None and (intent.plan.side == "long") == (quantity > 0) else None
            stops = [
                leg.stop_price for leg in legs_at_broker(self._view.known, symbol) if leg.role in {"stop", "protect"}
            ]
            prices = [stop for stop in stops if stop is not None]
            yield Held(
                symbol=symbol,
                key=intent.id if intent is not None and plan is not None else f"foreign-{symbol}",
                quantity=quantity,
                entry=costs.get(symbol) or (plan.entry if plan is not None else None),
                stop=(min(prices) if quantity > 0 else max(prices))
                if prices
                else (plan.stop if plan is not None else None),
                target=plan.target if plan is not None else None,
                flat_by_close=plan.flat_by_close if plan is not None else False,
                confidence=plan.confidence if plan is not None else None,
            )

    def _tell(self, bars: Iterable[MinuteBar]) -> None:
        drafts = []
        for bar in bars:
            self._view.bars[bar.symbol] = bar.start
            drafts.append(self._draft(bar))
        self._untold += drafts

    def publish(self) -> None:
        """Puts completed bars on the bus, all in one transaction; orders went out before."""
        drafts, self._untold = self._untold, []
        if drafts:
            self._means.publish(drafts)

    def _draft(self, bar: MinuteBar) -> Draft:
        told = BarClosed(
            symbol=bar.symbol,
            start=bar.start,
            seconds=SECONDS,
            open=float(bar.open),
            high=float(bar.high),
            low=float(bar.low),
            close=float(bar.close),
            volume=float(bar.volume),
        )
        day = bar.start.astimezone(NEW_YORK).date()
        return Draft(self._setup.book, day, self._means.clock.now(), SENDER, told)
