"""Yahoo on this machine: its host names over real TLS, its chart answers made from bars as traded.

A CONNECT proxy leads every host to one TLS server whose certificate an authority of its own has signed, so that an
unmodified yfinance sends its real requests: cookie, crumb, time zone and chart. Everything ends with the `with` block.
"""

import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from trading_assets.core.calendar import NEW_YORK

HOSTS = ("query1", "query2", "fc", "guce", "consent", "finance")
EPOCH_OF_CERTIFICATE = datetime(2020, 1, 1, tzinfo=UTC)
ONE_MINUTE_DAYS_MAX = 8
FAULTS: Mapping[str, tuple[int, str, str]] = {
    "rate limit": (429, "text/plain", "Too Many Requests\r\n"),
    "html": (500, "text/html", "<html>oops</html>"),
    "down": (200, "text/html", "<html>Will be right back...</html>"),
    "nonsense": (200, "application/json", '{"chart": {"result": [{"meta": {}}], "error": null}}'),
}


@dataclass(frozen=True)
class Traded:
    """One bar as traded; `start` is New York local time without an offset."""

    start: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True)
class Listing:
    """What Yahoo knows of a symbol: bars by interval, splits (new per old) and dividends (as traded) by ex-date."""

    bars: Mapping[str, Sequence[Traded]]
    splits: Mapping[date, int] = field(default_factory=dict)
    dividends: Mapping[date, float] = field(default_factory=dict)

    def shares(self, day: date) -> float:
        """How many of today's shares one share of `day` became."""
        return float(np.prod([ratio for ex_date, ratio in self.splits.items() if ex_date > day]))


class LoopbackYahoo:
    """The state of the server: listings, the fault it has now, and the chart requests that it saw."""

    def __init__(self, listings: Mapping[str, Listing]) -> None:
        self.listings = listings
        self.fault: str | None = None
        self.requests: list[Mapping[str, str]] = []
        self.released = threading.Event()
        self.proxy = ""
        self.authority = Path()

    def chart(self, symbol: str, query: Mapping[str, str]) -> tuple[int, str, str]:
        """Status, content type and body of a chart answer."""
        self.requests.append({"symbol": symbol, **query})
        if self.fault is not None and self.fault in FAULTS:
            return FAULTS[self.fault]
        if self.fault == "slow":
            self.released.wait(10)
        listing = self.listings.get(symbol)
        if listing is None:
            return _refusal(404, "Not Found", "No data found, symbol may be delisted")
        first, end = int(query.get("period1", 0)), int(query.get("period2", 2**40))
        if self.fault == "too long" or (query["interval"] == "1m" and end - first > ONE_MINUTE_DAYS_MAX * 86_400):
            return _refusal(
                422, "Unprocessable Entity", "1m data not available. Only 8 days worth of 1m granularity data"
            )
        empty = self.fault == "empty" and "period1" in query
        return _answered(_result(symbol, listing, query["interval"], 2**40 if empty else first, end))


def _refusal(status: int, code: str, description: str) -> tuple[int, str, str]:
    body = {"chart": {"result": None, "error": {"code": code, "description": description}}}
    return status, "application/json", json.dumps(body)


def _answered(result: Mapping[str, Any]) -> tuple[int, str, str]:
    return 200, "application/json", json.dumps({"chart": {"result": [result], "error": None}})


def _result(symbol: str, listing: Listing, interval: str, first: int, end: int) -> Mapping[str, Any]:
    bars = [bar for bar in listing.bars.get(interval, ()) if first <= _seconds(bar.start) < end]
    result: dict[str, Any] = {"meta": _meta(symbol, interval, bars), "indicators": {"quote": [{}], "adjclose": [{}]}}
    if bars:
        result["timestamp"] = [_seconds(bar.start) for bar in bars]
        result["indicators"] = _indicators(listing, bars)
        result["events"] = _events(listing, first, end) if interval == "1d" else {}
    return result


def _indicators(listing: Listing, bars: Sequence[Traded]) -> Mapping[str, Any]:
    """Prices in today's share count and in single precision, as Yahoo has them."""
    shares = [listing.shares(bar.start.date()) for bar in bars]
    quote: dict[str, list[float]] = {
        name: [float(np.float32(getattr(bar, name) / count)) for bar, count in zip(bars, shares, strict=True)]
        for name in ("open", "high", "low", "close")
    }
    quote["volume"] = [bar.volume * count for bar, count in zip(bars, shares, strict=True)]
    return {"quote": [quote], "adjclose": [{"adjclose": quote["close"]}]}


def _events(listing: Listing, first: int, end: int) -> Mapping[str, Any]:
    splits = {
        str(at): {"date": at, "numerator": ratio, "denominator": 1, "splitRatio": f"{ratio}:1"}
        for day, ratio in listing.splits.items()
        if first <= (at := _seconds(datetime.combine(day, time(9, 30)))) < end
    }
    dividends = {
        str(at): {"date": at, "amount": amount / listing.shares(day)}
        for day, amount in listing.dividends.items()
        if first <= (at := _seconds(datetime.combine(day, time(9, 30)))) < end
    }
    return {name: events for name, events in (("splits", splits), ("dividends", dividends)) if events}


def _meta(symbol: str, interval: str, bars: Sequence[Traded]) -> Mapping[str, Any]:
    days = sorted({bar.start.date() for bar in bars})
    opens = [_seconds(datetime.combine(day, time(9, 30))) for day in days]
    periods = [[{"timezone": "EST", "start": at, "end": at + 23_400, "gmtoffset": -18_000}] for at in opens]
    return {
        "currency": "USD",
        "symbol": symbol,
        "instrumentType": "EQUITY",
        "gmtoffset": -18_000,
        "timezone": "EST",
        "exchangeTimezoneName": "America/New_York",
        "dataGranularity": interval,
        "priceHint": 2,
        "validRanges": ["1d", "5d", "max"],
        "tradingPeriods": periods,
    }


def _seconds(local: datetime) -> int:
    return int(local.replace(tzinfo=NEW_YORK).timestamp())


@contextmanager
def running(listings: Mapping[str, Listing], folder: Path) -> Iterator[LoopbackYahoo]:
    """The server and its proxy on free ports of 127.0.0.1; `folder` takes the certificate."""
    yahoo = LoopbackYahoo(listings)
    yahoo.authority, key = _certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(yahoo.authority, key)
    with _Tls(yahoo, context) as tls, _Proxy(tls.server_address[1]) as proxy:
        yahoo.proxy = f"http://127.0.0.1:{proxy.server_address[1]}"
        threads = [threading.Thread(target=server.serve_forever, args=(0.05,)) for server in (tls, proxy)]
        for thread in threads:
            thread.start()
        try:
            yield yahoo
        finally:
            yahoo.released.set()
            tls.shutdown()
            proxy.shutdown()
            for thread in threads:
                thread.join()


class _Tls(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, yahoo: LoopbackYahoo, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Pages)
        self.yahoo = yahoo
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up waiting is part of the tests."""


class _Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Tls

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gave it
        """Requests are kept by the server, not printed."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path.startswith("/v8/finance/chart/"):
            self._send(*self.server.yahoo.chart(url.path.rsplit("/", 1)[1], query))
        elif url.path == "/v1/test/getcrumb":
            limited = self.server.yahoo.fault == "rate limit"
            self._send(*FAULTS["rate limit"] if limited else (200, "text/plain", "crumb"))
        elif url.path == "/":
            self._send(404, "text/plain", "", cookie="A3=d=loop; Domain=.yahoo.com; Path=/; Max-Age=31557600")
        else:
            self._send(404, "application/json", '{"finance": {"error": {"code": "Not Found"}}}')

    def do_POST(self) -> None:
        self.do_GET()

    def _send(self, status: int, kind: str, text: str, *, cookie: str = "") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()
        self.wfile.write(body)


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, target_port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.target_port = target_port


class _Tunnel(socketserver.StreamRequestHandler):
    server: _Proxy

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        with socket.create_connection(("127.0.0.1", self.server.target_port)) as target:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_pump, args=(target, self.connection), daemon=True)
            back.start()
            _pump(self.connection, target)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    hosts = [x509.DNSName(f"{host}.finance.yahoo.com") for host in HOSTS]
    hosts += [x509.DNSName(f"{host}.yahoo.com") for host in HOSTS]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(EPOCH_OF_CERTIFICATE)
        .not_valid_after(EPOCH_OF_CERTIFICATE + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "authority.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    return certificate_file, key_file
