"""The scripted model server: what it sends is what the providers' own libraries read, and its account is exact."""

import http.client
import json
import socket
import threading
import time
from decimal import Decimal

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as gemini_errors

from tests.llm.actions import Action, answer, dripping, dropped, failing, garbage, prose, refusal, truncated
from tests.llm.schemas import smallest
from tests.llm.server import ModelServer, Request
from tests.llm.tariff import TARIFFS
from tests.llm.wire import Tokens

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def claude(server: ModelServer) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="k" * 10, base_url=server.url("anthropic"), max_retries=0, timeout=5)


def gpt(server: ModelServer) -> openai.OpenAI:
    return openai.OpenAI(api_key="k" * 10, base_url=server.url("openai"), max_retries=0, timeout=5)


def deepseek(server: ModelServer) -> openai.OpenAI:
    return openai.OpenAI(api_key="k" * 10, base_url=server.url("deepseek"), max_retries=0, timeout=5)


def ask_claude(server: ModelServer) -> anthropic.types.Message:
    return claude(server).messages.create(
        model="claude-haiku-5-5", max_tokens=100, messages=[{"role": "user", "content": "Well?"}]
    )


def test_the_messages_library_reads_plain_and_streamed_answers_alike(models: ModelServer) -> None:
    models.script("anthropic", answer({"a": "b"}, input_tokens=100, cached_tokens=40, output_tokens=7))
    plain = ask_claude(models)
    with claude(models).messages.stream(
        model="claude-haiku-5-5", max_tokens=100, messages=[{"role": "user", "content": "Well?"}]
    ) as stream:
        streamed = stream.get_final_message()
    for message in (plain, streamed):
        assert [block.text for block in message.content if block.type == "text"] == ['{"a": "b"}']
        assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (60, 40)
        assert (message.usage.output_tokens, message.stop_reason) == (7, "end_turn")


def test_an_offered_tool_gets_the_object(models: ModelServer) -> None:
    models.script("anthropic", answer({"a": "b"}))
    message = claude(models).messages.create(
        model="claude-haiku-5-5",
        max_tokens=100,
        messages=[{"role": "user", "content": "Well?"}],
        tools=[{"name": "answer", "input_schema": SCHEMA}],
    )
    assert [(block.name, block.input) for block in message.content if block.type == "tool_use"] == [
        ("answer", {"a": "b"})
    ]
    assert message.stop_reason == "tool_use"


@pytest.mark.parametrize(("action", "reason"), [(truncated(), "max_tokens"), (refusal(), "refusal")])
def test_the_messages_library_reads_why_an_answer_ended(models: ModelServer, action: Action, reason: str) -> None:
    models.script("anthropic", action)
    assert ask_claude(models).stop_reason == reason


def test_the_responses_library_reads_an_answer(models: ModelServer) -> None:
    models.script("openai", answer({"a": "b"}, input_tokens=100, cached_tokens=40, output_tokens=7))
    said = gpt(models).responses.create(model="gpt-6-luna", input="Well?")
    assert said.output_text == '{"a": "b"}'
    assert said.usage is not None
    assert (said.usage.input_tokens, said.usage.input_tokens_details.cached_tokens) == (100, 40)
    streamed = gpt(models).responses.create(model="gpt-6-luna", input="Well?", stream=True)
    assert [event.type for event in streamed][-1] == "response.completed"


def test_the_chat_library_reads_an_answer_and_its_tool_call(models: ModelServer) -> None:
    models.script("deepseek", answer({"a": "b"}, input_tokens=100, cached_tokens=40, output_tokens=7))
    said = deepseek(models).chat.completions.create(
        model="deepseek-flash",
        messages=[{"role": "user", "content": "Well?"}],
        tools=[{"type": "function", "function": {"name": "answer", "parameters": SCHEMA}}],
    )
    calls = said.choices[0].message.tool_calls or []
    assert [call.function.arguments for call in calls if call.type == "function"] == ['{"a": "b"}']
    assert said.usage is not None
    assert said.usage.prompt_tokens == 100


def test_the_gemini_library_reads_an_answer_with_its_grounding(models: ModelServer) -> None:
    models.script("gemini", answer({"a": "b"}, input_tokens=100, output_tokens=7))
    with genai.Client(api_key="k" * 10, http_options={"base_url": models.url("gemini")}) as client:
        said = client.models.generate_content(
            model="gemini-3.8-flash", contents="Well?", config={"tools": [{"google_search": {}}]}
        )
    assert said.text == '{"a": "b"}'
    assert said.candidates is not None
    assert said.candidates[0].grounding_metadata is not None
    assert said.usage_metadata is not None
    assert said.usage_metadata.prompt_token_count == 100


def test_errors_have_the_status_and_the_headers_of_the_script(models: ModelServer) -> None:
    models.script("anthropic", failing("rate_limited", "slowly", retry_after="7"))
    with pytest.raises(anthropic.RateLimitError, match="slowly") as limited:
        ask_claude(models)
    assert limited.value.response.headers["retry-after"] == "7"
    models.script("openai", failing("quota"))
    with pytest.raises(openai.RateLimitError) as exhausted:
        gpt(models).responses.create(model="gpt-6-luna", input="Well?")
    assert exhausted.value.code == "insufficient_quota"
    models.script("gemini", failing("unknown_model"))
    with (
        genai.Client(api_key="k" * 10, http_options={"base_url": models.url("gemini")}) as client,
        pytest.raises(gemini_errors.ClientError, match="NOT_FOUND"),
    ):
        client.models.generate_content(model="x", contents="Well?")


def test_actions_are_used_in_order_and_the_last_one_repeats(models: ModelServer) -> None:
    models.script("anthropic", prose("one"), prose("two"))
    texts = [block.text for _ in range(4) for block in ask_claude(models).content if block.type == "text"]
    assert texts == ["one", "two", "two", "two"]


def test_an_action_may_depend_on_the_request(models: ModelServer) -> None:
    def echo(request: Request) -> Action:
        return prose(f"{request.body['max_tokens']} for {request.model}")

    models.script("anthropic", echo)
    assert [block.text for block in ask_claude(models).content if block.type == "text"] == ["100 for claude-haiku-5-5"]


def test_every_request_is_remembered_with_its_headers(models: ModelServer) -> None:
    ask_claude(models)
    (request,) = models.asked("anthropic")
    assert request.headers["authorization"] == f"Bearer {'k' * 10}"
    assert (request.method, request.path, request.model) == ("POST", "/anthropic/v1/messages", "claude-haiku-5-5")
    assert models.asked("openai") == []


def test_the_account_is_tokens_times_tariff_to_the_last_digit(models: ModelServer) -> None:
    models.script("anthropic", answer({}, input_tokens=1_001, cached_tokens=300, written_tokens=200, output_tokens=7))
    ask_claude(models)
    exact = (501 * Decimal("0.10") + 300 * Decimal("0.01") + 200 * Decimal("0.125") + 7 * Decimal("0.5")) / 1_000_000
    assert models.charged == exact
    assert models.lost == 0
    models.script("anthropic", failing("overloaded"))
    with pytest.raises(anthropic.APIStatusError):
        ask_claude(models)
    assert models.charged == exact


def test_a_batch_costs_half_and_a_search_its_fee() -> None:
    tokens = Tokens(input=1_000, cached=0, output=100, searches=2)
    tariff = TARIFFS["gemini-3.8-flash"]
    assert tariff.charge(tokens) == Decimal("0.001125") + Decimal("0.028")
    assert tariff.charge(tokens, batch=True) == Decimal("0.0005625") + Decimal("0.028")


@pytest.mark.parametrize("action", [dropped(0), dropped(0.5), Action(delay_s=0.6), dripping(20)])
def test_what_never_arrived_whole_is_charged_as_lost(action: Action) -> None:
    with ModelServer() as models:
        models.script("anthropic", action)
        client = claude(models).with_options(timeout=0.3)
        with pytest.raises(anthropic.APIConnectionError):
            client.messages.create(
                model="claude-haiku-5-5", max_tokens=100, messages=[{"role": "user", "content": "Well?"}]
            )
        while not models.charges:
            time.sleep(0.01)
        assert models.charged == 0
        assert models.lost > 0


def test_a_slow_answer_that_arrives_is_delivered(models: ModelServer) -> None:
    models.script("anthropic", Action(delay_s=0.05), dripping(0.05))
    ask_claude(models)
    ask_claude(models)
    assert [charge.delivered for charge in models.charges] == [True, True]


def test_connections_are_kept_and_shared_by_many_requests(models: ModelServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", models.port)
    connection.connect()
    own = connection.sock.getsockname()
    for _ in range(50):
        connection.request("POST", "/anthropic/v1/messages", json.dumps({"model": "m"}))
        assert connection.getresponse().read()
    assert connection.sock.getsockname() == own
    connection.close()


def test_a_body_in_chunks_is_read(models: ModelServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", models.port)
    parts = (part for part in (b'{"model"', b': "m"}'))
    connection.request(
        "POST", "/openai/v1/responses", parts, encode_chunked=True, headers={"transfer-encoding": "chunked"}
    )
    assert connection.getresponse().status == 200
    assert models.log[0].body == {"model": "m"}
    connection.close()


def test_thirty_two_at_once_are_all_served_and_counted(models: ModelServer) -> None:
    models.script("anthropic", answer({}, input_tokens=10, output_tokens=10))

    def ask_thirty() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", models.port)
        for _ in range(30):
            connection.request("POST", "/anthropic/v1/messages", json.dumps({"model": "claude-haiku-5-5"}))
            connection.getresponse().read()
        connection.close()

    threads = [threading.Thread(target=ask_thirty) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(models.log) == len(models.charges) == 960
    assert len({request.number for request in models.log}) == 960
    assert models.charged == 960 * Decimal("0.000006")


def test_closing_ends_hanging_replies_and_the_port() -> None:
    models = ModelServer()
    with models:
        models.script("anthropic", Action(delay_s=300))
        waiting = threading.Thread(target=lambda: _ignore_errors(models))
        waiting.start()
        while not models.log:
            waiting.join(0.01)
    waiting.join(20)
    assert not waiting.is_alive()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", models.port), timeout=1)


def _ignore_errors(models: ModelServer) -> None:
    with pytest.raises(anthropic.APIConnectionError):
        ask_claude(models)


def test_garbage_goes_out_as_it_is(models: ModelServer) -> None:
    models.script("anthropic", garbage(b"\x00\xff", "text/html"))
    connection = http.client.HTTPConnection("127.0.0.1", models.port)
    connection.request("POST", "/anthropic/v1/messages", "{}")
    reply = connection.getresponse()
    assert (reply.status, reply.headers["content-type"], reply.read()) == (200, "text/html", b"\x00\xff")
    connection.close()


def test_the_smallest_object_follows_references_choices_and_bounds() -> None:
    schema = {
        "type": "object",
        "$defs": {"Side": {"enum": ["buy", "sell"]}},
        "properties": {
            "side": {"$ref": "#/$defs/Side"},
            "price": {"type": "number", "minimum": 3},
            "tags": {"type": "array", "items": {"type": "string", "minLength": 2}, "minItems": 2},
            "maybe": {"anyOf": [{"type": "null"}, {"type": "integer"}]},
            "fixed": {"const": 7},
            "sure": {"type": "boolean"},
        },
    }
    assert smallest(schema) == {
        "side": "buy",
        "price": 3,
        "tags": ["xx", "xx"],
        "maybe": None,
        "fixed": 7,
        "sure": False,
    }
