"""Message batches of the scripted server: created, polled, read and cancelled like Anthropic's."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.llm import wire
from tests.llm.actions import Action

if TYPE_CHECKING:
    from tests.llm.server import ModelServer, Request

_CREATED = "2026-11-20T20:00:00Z"
_EXPIRES = "2026-11-21T20:00:00Z"
Served = tuple[int, bytes, str, int] | None


@dataclass
class Batch:
    """One batch; `results` are its lines, made once, when it ends."""

    id: str
    requests: list[dict[str, Any]]
    polls: int = 0
    canceled: bool = False
    results: list[dict[str, Any]] | None = None


@dataclass
class Batches:
    """All batches; each ends at the poll numbered `polls_needed`. Actions of the script stand for its requests, one each.

    `refuse` answers everything with an error; `mute` takes new batches and breaks the connection instead of answering.
    """

    polls_needed: int = 1
    made: dict[str, Batch] = field(default_factory=dict)
    refuse: Action | None = None
    mute: bool = False
    created_at: str = _CREATED

    def serve(self, server: ModelServer, request: Request) -> Served:
        """Status, body, content type and number of the reply to one request about batches; None: no reply."""
        steps = [step for step in request.path.partition("/messages/batches")[2].split("/") if step]
        if self.refuse is not None:
            status, error = wire.anthropic_error(self.refuse, f"req_{request.number}")
            return self._json(request, error, status)
        if not steps:
            reply = self._create(request) if request.method == "POST" else self._listed(server)
            return None if self.mute and request.method == "POST" else self._json(request, reply)
        batch = self.made.get(steps[0])
        if batch is None:
            status, error = wire.anthropic_error(Action(trouble="unknown_model", message="no such batch"), "req")
            return self._json(request, error, status)
        if steps[1:] == ["results"]:
            lines = "".join(json.dumps(line) + "\n" for line in batch.results or [])
            return 200, lines.encode(), "application/x-jsonl", request.number
        if steps[1:] == ["cancel"]:
            batch.canceled = True
        batch.polls += 1
        self._end_when_due(server, batch)
        return self._json(request, self._described(server, batch))

    def _json(self, request: Request, body: Any, status: int = 200) -> Served:
        return status, json.dumps(body).encode(), "application/json", request.number

    def _create(self, request: Request) -> dict[str, Any]:
        batch = Batch(f"msgbatch_{request.number}", list(request.body["requests"]))
        self.made[batch.id] = batch
        return self._described(None, batch)

    def _listed(self, server: ModelServer) -> dict[str, Any]:
        for batch in self.made.values():
            batch.polls += 1
            self._end_when_due(server, batch)
        data = [self._described(server, batch) for batch in reversed(self.made.values())]
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
        return {"data": data, "has_more": False, **ends}

    def _end_when_due(self, server: ModelServer, batch: Batch) -> None:
        if batch.results is None and (batch.canceled or batch.polls >= self.polls_needed):
            batch.results = [self._run(server, batch, one) for one in batch.requests]

    def _run(self, server: ModelServer, batch: Batch, one: dict[str, Any]) -> dict[str, Any]:
        from tests.llm.server import Request

        raw = json.dumps(one["params"]).encode()
        number = int(batch.id.partition("_")[2])
        request = Request(number, "POST", "/anthropic/v1/messages", {}, one["params"], raw)
        action = Action(batch="canceled") if batch.canceled else server.next_action(request)
        if action.batch == "errored":
            _, error = wire.anthropic_error(action, "req")
            return {"custom_id": one["custom_id"], "result": {"type": "errored", "error": error}}
        if action.batch != "succeeded":
            return {"custom_id": one["custom_id"], "result": {"type": action.batch}}
        turn = server.turn(request, action)
        server.charge(request, turn, delivered=True, batch=True)
        message = wire.plain_anthropic(wire.anthropic_message(turn, tier="batch"))
        return {"custom_id": one["custom_id"], "result": {"type": "succeeded", "message": message}}

    def _described(self, server: ModelServer | None, batch: Batch) -> dict[str, Any]:
        ended = batch.results is not None
        kinds = [line["result"]["type"] for line in batch.results or []]
        counts = {kind: kinds.count(kind) for kind in ("succeeded", "errored", "canceled", "expired")}
        counts["processing"] = 0 if ended else len(batch.requests)
        base = "" if server is None else server.url("anthropic")
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts,
            "created_at": self.created_at,
            "expires_at": _EXPIRES,
            "ended_at": _EXPIRES if ended else None,
            "archived_at": None,
            "cancel_initiated_at": _CREATED if batch.canceled else None,
            "results_url": f"{base}/v1/messages/batches/{batch.id}/results" if ended else None,
        }
