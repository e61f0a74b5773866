"""One question to TWS or the Gateway through ib_async, on an event loop of its own, every failure in the words of the port.

ib_async answers a refused request with an empty list, and some refusals (321) with silence: the truth stands in its error
event. So each request waits for its answer, for an error about its own contract and for the loss of the connection, whichever
comes first, and a connection that left a question open is given up.
"""

import asyncio
import weakref
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from threading import Lock, Thread
from typing import Any, Final

import polars as pl

from trading_assets.core.errors import DeskError
from trading_assets.core.settings import InteractiveBrokersData
from trading_assets.market.ports import (
    EmptyAnswer,
    MalformedAnswer,
    ProviderUnavailable,
    UnknownSymbol,
    UnsupportedRequest,
)

NAME: Final = "ib"
_NOTICES = range(2100, 2200)
_LINK_LOST = frozenset({502, 504, 507, 1100, 1300})
_NOT_KNOWN = frozenset({200})
_NOT_OFFERED = frozenset({203, 321, 354, 420, 10089, 10090, 10167, 10168, 10186})
_CLIENT_ID_IN_USE = 326
_HISTORY = 162
_GRACE_S = 5.0
_VALUES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Question:
    """Trades of one stock in regular hours.

    Args:
        symbol: As Interactive Brokers writes it.
        end: UTC instant up to which bars are wanted.
        duration: How far back, for example "5 D".
        size: Of the bars, for example "5 mins".
        about: The question in words, for errors.
    """

    symbol: str
    end: datetime
    duration: str
    size: str
    about: str

    @property
    def until(self) -> str:
        """The end as Interactive Brokers reads it, in UTC."""
        return self.end.astimezone(UTC).strftime("%Y%m%d-%H:%M:%S")


class IbWire:
    """A connection for reading that is opened at the first question and closed with `close`, or when nobody holds the wire.

    Args:
        where: Host, port and client id of TWS or the Gateway.
        timeout_s: Seconds to wait for an answer.
        connect_timeout_s: Seconds to wait for the connection.
    """

    def __init__(self, where: InteractiveBrokersData, *, timeout_s: float, connect_timeout_s: float) -> None:
        self._make: Callable[[], _Worker] = lambda: _Worker(where, timeout_s, connect_timeout_s)
        self._patience_s = timeout_s + connect_timeout_s + _GRACE_S
        self._worker: _Worker | None = None
        self._lock = Lock()

    def history(self, question: Question) -> pl.DataFrame:
        """Columns at (the date of a daily bar, the UTC start of a shorter one), open, high, low, close and volume, ascending.

        Prices and volumes are those of Interactive Brokers: in today's share count.
        """
        with self._lock:
            worker = self._worker = self._worker or self._started()
        asked = asyncio.run_coroutine_threadsafe(worker.asked(question), worker.loop)
        try:
            return asked.result(self._patience_s)
        except FutureTimeout as late:
            asked.cancel()
            raise ProviderUnavailable(f"{NAME} did not answer about {question.about}") from late

    def close(self) -> None:
        """Ends the connection and its thread; the next question opens a new one."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def _started(self) -> "_Worker":
        worker = self._make()
        weakref.finalize(self, worker.stop)
        return worker


class _Worker:
    """The event loop in its thread, and the client that lives there. It must not hold the wire, or it would never end."""

    def __init__(self, where: InteractiveBrokersData, timeout_s: float, connect_timeout_s: float) -> None:
        self._where = where
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._client: Any = None
        self._connecting = asyncio.Lock()
        self.loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, name="interactive-brokers", daemon=True)
        self._thread.start()

    async def asked(self, question: Question) -> pl.DataFrame:
        client = await self._connected()
        try:
            return await self._answered(client, question)
        except (ProviderUnavailable, ConnectionError, OSError) as broken:
            self._give_up(client)
            if isinstance(broken, ProviderUnavailable):
                raise
            raise ProviderUnavailable(f"{NAME} lost the connection while asked about {question.about}") from broken

    def stop(self) -> None:
        """Disconnects and ends the thread; safe to call twice and from any thread."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._end)
        self._thread.join(_GRACE_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    def _end(self) -> None:
        self._give_up(self._client)
        self.loop.call_soon(self.loop.stop)

    def _give_up(self, client: Any) -> None:
        if client is not None:
            client.disconnect()
            client.client.disconnect()
        if self._client is client:
            self._client = None

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._client is None or not self._client.isConnected():
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> Any:
        from ib_async import IB
        from ib_async.ib import StartupFetchNONE

        client = IB()
        refused = _Heard(client.errorEvent, lambda code, _: code not in _NOTICES)
        connecting = asyncio.ensure_future(
            client.connectAsync(
                self._where.host,
                self._where.port,
                self._where.client_id,
                timeout=self._connect_timeout_s,
                readonly=True,
                raiseSyncErrors=True,
                fetchFields=StartupFetchNONE,
            )
        )
        try:
            await asyncio.wait({connecting, refused.future}, return_when=asyncio.FIRST_COMPLETED)
            if refused.future.done():
                raise self._refusal(*refused.future.result())
            await connecting
        except (OSError, TimeoutError, ConnectionError) as failed:
            raise self._unreachable(str(failed) or type(failed).__name__) from failed
        finally:
            refused.end()
            if not (connecting.done() and not connecting.cancelled() and connecting.exception() is None):
                connecting.cancel()
                await asyncio.gather(connecting, return_exceptions=True)
                client.client.disconnect()
        return client

    def _refusal(self, code: int, text: str) -> ProviderUnavailable:
        if code == _CLIENT_ID_IN_USE:
            return ProviderUnavailable(
                f"{NAME} refuses the connection: client id {self._where.client_id} is in use ({code}: {text})",
                hint="end the other program, or set another market.ib.client_id in config/settings.yaml",
            )
        return self._unreachable(f"{code}: {text}")

    def _unreachable(self, reason: str) -> ProviderUnavailable:
        return ProviderUnavailable(
            f"{NAME} is not connected: no TWS or Gateway took the connection ({reason})",
            value=f"{self._where.host}:{self._where.port}",
            hint="start TWS or the Gateway with its API enabled, or see market.ib in config/settings.yaml",
        )

    async def _answered(self, client: Any, question: Question) -> pl.DataFrame:
        from ib_async import Stock

        contract = Stock(question.symbol, "SMART", "USD")
        heard = _Heard(client.errorEvent, lambda code, about: _concerns(code, about is contract))
        asked = asyncio.ensure_future(
            client.reqHistoricalDataAsync(
                contract,
                endDateTime=question.until,
                durationStr=question.duration,
                barSizeSetting=question.size,
                whatToShow="TRADES",
                useRTH=True,
                formatDate=2,
                timeout=0,
            )
        )
        try:
            await asyncio.wait({asked, heard.future}, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if heard.future.done():
                raise _in_our_words(*heard.future.result(), question)
            if not asked.done():
                raise ProviderUnavailable(
                    f"{NAME} gave no answer that can be read about {question.about}", bound=f"{self._timeout_s:g} s"
                )
            return _plain(asked.result(), question)
        finally:
            heard.end()
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)


class _Heard:
    """The first error that matters, as a future of code and text."""

    def __init__(self, event: Any, matters: Callable[[int, Any], bool]) -> None:
        self.future: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self._event = event
        self._matters = matters
        event += self._on_error

    def _on_error(self, _request: int, code: int, text: str, about: Any) -> None:
        if not self.future.done() and self._matters(code, about):
            self.future.set_result((code, text))

    def end(self) -> None:
        self._event -= self._on_error
        self.future.cancel()


def _concerns(code: int, is_ours: bool) -> bool:
    return code in _LINK_LOST or (is_ours and code not in _NOTICES)


def _in_our_words(code: int, text: str, question: Question) -> DeskError:
    """The failure as the port names it; a code that is not known is no answer, and never an empty one."""
    said = f"{question.about} ({code}: {text})"
    if code in _NOT_KNOWN:
        return UnknownSymbol(f"{NAME} does not know the symbol of {said}")
    if code == _HISTORY:
        return _of_history(text, said)
    if code in _NOT_OFFERED:
        return UnsupportedRequest(
            f"{NAME} does not serve {said}", hint="subscribe to the data, or use another provider"
        )
    if code in _LINK_LOST:
        return ProviderUnavailable(f"{NAME} has lost its link while asked about {said}")
    return ProviderUnavailable(f"{NAME} did not deliver {said}")


def _of_history(text: str, said: str) -> DeskError:
    words = text.lower()
    if "no data" in words:
        return EmptyAnswer(f"{NAME} has no {said}")
    if "permission" in words or "subscri" in words:
        return UnsupportedRequest(
            f"{NAME} does not serve {said}", hint="subscribe to the data, or use another provider"
        )
    if "pacing" in words:
        return ProviderUnavailable(f"{NAME} limits the rate: {said}")
    return ProviderUnavailable(f"{NAME} did not deliver {said}")


def _plain(bars: Any, question: Question) -> pl.DataFrame:
    daily = question.size == "1 day"
    kind: Any = pl.Date() if daily else pl.Datetime("us", "UTC")
    wanted = date if daily else datetime
    if any(not isinstance(bar.date, wanted) or isinstance(bar.date, datetime) is daily for bar in bars):
        raise MalformedAnswer(f"{NAME} delivered bars of another length than {question.size}: {question.about}")
    rows = [(bar.date, *(float(getattr(bar, name)) for name in _VALUES)) for bar in bars]
    frame = pl.DataFrame(rows, schema={"at": kind, **dict.fromkeys(_VALUES, pl.Float64())}, orient="row").sort("at")
    if frame["at"].is_duplicated().any():
        twice = frame.filter(pl.col("at").is_duplicated())["at"][0]
        raise MalformedAnswer(f"{NAME} delivered a bar twice: {question.about}", value=twice)
    return frame
