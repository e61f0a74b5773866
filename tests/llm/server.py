"""A scripted model server on the loopback interface: Anthropic Messages and batches, OpenAI Responses, DeepSeek chat, Gemini.

It speaks HTTP/1.1 with kept connections, does what its script says, remembers every request, and keeps its own account:

    with ModelServer() as server:
        server.script("anthropic", failing("rate_limited", retry_after="7"), answer({"action": "BUY"}))
        ...ask with base_url=server.url("anthropic")...
        server.log[0].body["max_tokens"], server.charged

Actions are used in their order and the last one repeats; an action may be a function of the request. Without a script the server
answers with the smallest object that fits the schema that was asked for. See `tests/llm/actions.py` for what it can do.
"""

from __future__ import annotations

import itertools
import json
import select
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Self

from tests.llm import wire
from tests.llm.actions import Action
from tests.llm.batching import Batches
from tests.llm.schemas import smallest
from tests.llm.tariff import TARIFFS, Tariff
from tests.llm.wire import Body, Provider, Tokens, Turn

_PROVIDERS: tuple[Provider, ...] = ("anthropic", "openai", "gemini", "deepseek")
_SEARCH_TOOLS = frozenset({"googleSearch", "google_search"})
_BYTES_PER_TOKEN = 4
_PIECES = 20


@dataclass(frozen=True)
class Request:
    """One HTTP request as it arrived; header names are lower case."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: Body
    raw: bytes

    @property
    def provider(self) -> Provider:
        """Whose interface is asked."""
        return next(name for name in _PROVIDERS if self.path.startswith(f"/{name}/"))

    @property
    def model(self) -> str:
        """The model that is asked."""
        if self.provider == "gemini":
            return self.path.rpartition("/models/")[2].partition(":")[0]
        return str(self.body.get("model", ""))


Script = Action | Callable[[Request], Action]


@dataclass(frozen=True)
class Charge:
    """What one request cost, USD, exactly; `delivered` is False where the client never got the whole answer."""

    request: int
    provider: Provider
    model: str
    tokens: Tokens
    usd: Decimal
    delivered: bool
    batch: bool = False


@dataclass
class ModelServer:
    """See the module; `tariffs` are its prices by model, a model without one is free of charge."""

    tariffs: Mapping[str, Tariff] = field(default_factory=lambda: TARIFFS)
    log: list[Request] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    batches: Batches = field(default_factory=Batches)

    def __post_init__(self) -> None:
        self._scripts: dict[Provider, list[Script]] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._closing = threading.Event()
        self._tcp = _Tcp(self)
        self._thread = threading.Thread(target=self._tcp.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops serving and breaks every connection."""
        if not self._closing.is_set():
            self._closing.set()
            self._tcp.shutdown()
            self._tcp.hang_up()
            self._tcp.server_close()

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return int(self._tcp.server_address[1])

    def url(self, provider: Provider) -> str:
        """The base URL to put into the route's settings."""
        return f"http://127.0.0.1:{self.port}/{provider}" + ("/v1" if provider == "openai" else "")

    def script(self, provider: Provider, *actions: Script) -> None:
        """What happens next, in this order; the last action repeats. Nothing: back to fitting answers."""
        with self._lock:
            self._scripts[provider] = list(actions)

    @property
    def charged(self) -> Decimal:
        """The sum of all answers that were delivered whole, USD, exactly."""
        return sum((charge.usd for charge in self.charges if charge.delivered), Decimal(0))

    @property
    def lost(self) -> Decimal:
        """The sum of answers that the server worked for and the client never got whole, USD."""
        return sum((charge.usd for charge in self.charges if not charge.delivered), Decimal(0))

    def asked(self, provider: Provider) -> list[Request]:
        """The provider's requests so far."""
        return [request for request in self.log if request.provider == provider]

    def next_action(self, request: Request) -> Action:
        """Takes the script's next action for the request."""
        with self._lock:
            waiting = self._scripts.get(request.provider) or [Action()]
            script = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return script(request) if callable(script) else script

    def turn(self, request: Request, action: Action) -> Turn:
        """The answer that the action makes of the request, with its tokens."""
        tool, schema = _wanted(request)
        words = action.words if action.words is not None else json.dumps(smallest(schema or {"type": "string"}))
        tool = tool if action.structured and action.stop != "refusal" else None
        counted = Tokens(
            input=len(request.raw) // _BYTES_PER_TOKEN + 1 if action.input_tokens is None else action.input_tokens,
            cached=action.cached_tokens,
            written=action.written_tokens,
            output=-(-len(words) // _BYTES_PER_TOKEN) if action.output_tokens is None else action.output_tokens,
            searches=action.searches if _offers_search(request) else 0,
        )
        return Turn(str(request.number), action.model or request.model, words, tool, action, counted)

    def charge(self, request: Request, turn: Turn, *, delivered: bool, batch: bool = False) -> None:
        """Writes the bill of one answer."""
        tariff = self.tariffs.get(request.model)
        usd = Decimal(0) if tariff is None else tariff.charge(turn.tokens, batch=batch)
        self.charges.append(Charge(request.number, request.provider, request.model, turn.tokens, usd, delivered, batch))

    def received(self, method: str, path: str, headers: Mapping[str, str], raw: bytes) -> Request:
        """Writes a request into the log."""
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            body = {}
        request = Request(next(self._numbers), method, path.partition("?")[0], headers, body, raw)
        self.log.append(request)
        return request

    def pause(self, seconds: float) -> bool:
        """Waits; False when the server closes meanwhile."""
        return not self._closing.wait(seconds) if seconds > 0 else True


def _wanted(request: Request) -> tuple[str | None, Body | None]:
    """The last tool's name, and the schema of the object that is asked for."""
    body = request.body
    if request.provider == "gemini":
        config = body.get("generationConfig", {})
        declared = [one for tool in body.get("tools", []) for one in tool.get("functionDeclarations", [])]
        schema = config.get("responseJsonSchema") or config.get("responseSchema")
        return (declared[-1]["name"], declared[-1].get("parametersJsonSchema")) if declared else (None, schema)
    tools = [tool for tool in body.get("tools") or [] if tool.get("type") in {None, "custom", "function"}]
    if tools:
        # The claude program lists tools of its own before the one for the answer.
        tool = tools[-1].get("function", tools[-1])
        return tool["name"], tool.get("input_schema") or tool.get("parameters")
    formats = (body.get("output_config") or {}).get("format") or (body.get("text") or {}).get("format") or {}
    return None, formats.get("schema") or ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")


def _offers_search(request: Request) -> bool:
    return any(_SEARCH_TOOLS & set(tool) for tool in request.body.get("tools") or [])


class _Tcp(socketserver.ThreadingTCPServer):
    """One thread for each connection; all of them end with the server."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, owner: ModelServer) -> None:
        self.owner = owner
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Connection)

    def hang_up(self) -> None:
        """Breaks every open connection."""
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class _Connection(socketserver.StreamRequestHandler):
    """One kept connection."""

    disable_nagle_algorithm = True
    server: _Tcp

    def handle(self) -> None:
        self.server.open.add(self.connection)
        try:
            while (request := self._read()) is not None and self._serve(request):
                pass
        except OSError:
            return
        finally:
            self.server.open.discard(self.connection)

    def _read(self) -> Request | None:
        first = self.rfile.readline(65_536).split()
        if len(first) != 3:
            return None
        headers: dict[str, str] = {}
        while line := self.rfile.readline(65_536).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        raw = self._chunked() if "chunked" in headers.get("transfer-encoding", "") else self._sized(headers)
        return self.server.owner.received(first[0].decode(), first[1].decode(), headers, raw)

    def _sized(self, headers: Mapping[str, str]) -> bytes:
        return self.rfile.read(int(headers.get("content-length", 0)))

    def _chunked(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _serve(self, request: Request) -> bool:
        """Does what the script says; False when the connection must end."""
        owner = self.server.owner
        if request.provider == "anthropic" and "/messages/batches" in request.path:
            served = owner.batches.serve(owner, request)
            return served is not None and self._send(Action(), *served)
        if request.method != "POST":
            return self._send(Action(), 404, b"{}", "application/json", request.number)
        action = owner.next_action(request)
        if not owner.pause(action.delay_s):
            return False
        streams = request.provider == "anthropic" and bool(request.body.get("stream"))
        if action.trouble is not None and not (action.in_stream and streams):
            status, error = wire.ERRORS[request.provider](action, f"req_{request.number}")
            return self._send(action, status, json.dumps(error).encode(), action.content_type, request.number)
        if action.raw is not None:
            return self._send(action, 200, action.raw, action.content_type, request.number)
        turn = owner.turn(request, action)
        body, kind = _encoded(request, turn)
        delivered = action.cut is None and not self._peer_left()
        if action.drip_s == 0 or not delivered:
            # The bill stands before the answer does, so that a client that has the answer finds it.
            owner.charge(request, turn, delivered=delivered)
            return self._send(action, 200, body, kind, request.number)
        return self._drip(_head(action, 200, body, kind, request.number) + body, request, turn)

    def _peer_left(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _send(self, action: Action, status: int, body: bytes, kind: str, number: int) -> bool:
        if action.cut == 0:
            return False
        head = _head(action, status, body, kind, number)
        if action.cut is not None:
            self.wfile.write(head + body[: int(len(body) * action.cut)])
            return False
        self.wfile.write(head + body)
        return True

    def _drip(self, content: bytes, request: Request, turn: Turn) -> bool:
        """Sends the reply in pieces; the bill stands before the last one."""
        size = len(content) // _PIECES + 1
        pieces = [content[start : start + size] for start in range(0, len(content), size)]
        charge = self.server.owner.charge
        for piece in pieces[:-1]:
            stays = self.server.owner.pause(turn.action.drip_s / _PIECES) and not self._peer_left()
            if not stays:
                charge(request, turn, delivered=False)
                return False
            self.wfile.write(piece)
        charge(request, turn, delivered=True)
        self.wfile.write(pieces[-1])
        return True


def _head(action: Action, status: int, body: bytes, kind: str, number: int) -> bytes:
    extra = "".join(f"{name}: {value}\r\n" for name, value in action.headers)
    return (
        f"HTTP/1.1 {status} {'OK' if status < 400 else 'Refused'}\r\ncontent-type: {kind}\r\n"
        f"content-length: {len(body)}\r\nrequest-id: req_{number}\r\nx-request-id: req_{number}\r\n{extra}\r\n"
    ).encode()


def _encoded(request: Request, turn: Turn) -> tuple[bytes, str]:
    """The body of a good reply and its content type."""
    message = wire.ANSWERS[request.provider](turn)
    streams = bool(request.body.get("stream"))
    if request.provider == "anthropic" and turn.action.in_stream:
        _, error = wire.anthropic_error(turn.action, turn.id)
        return wire.sse([error]), "text/event-stream"
    if request.provider == "anthropic" and streams:
        return wire.anthropic_events(message), "text/event-stream"
    if request.provider == "anthropic":
        message = wire.plain_anthropic(message)
    if request.provider == "openai" and streams:
        return wire.openai_events(message), "text/event-stream"
    return json.dumps(message).encode(), "application/json"


def main() -> None:
    """Serves until its standard input closes; prints its port first (for another process)."""
    import sys

    with ModelServer() as server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
