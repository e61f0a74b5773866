"""What the reasoner costs beside the bare client: `python -m bench.reasoner [--json] [--calls N]` ends with one JSON line.

The model server of the tests runs in a process of its own on the loopback interface and answers at once, so every figure is the
desk's own time; only in `council` it thinks for a second. Bare calls and questions alternate in one run; overheads are medians of
the differences of pairs. The ledger is an SQLite file with every commit synced. The simulated day mixes good and bad answers, and
its bill is compared with the server's.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import IO, Any

from bench.timing import emit
from resources.ledger.engine import open_ledger
from resources.llm.recording import schema_of
from tests.llm.actions import Action, answer, failing, prose, refusal
from tests.llm.council import answering, by_skill
from tests.llm.desks import CHEAP, GOOD, JUDGE, LONG_AGO, LUNA, NOON, Desk, Ruling, number_in, seen
from tests.llm.server import ModelServer, Request
from trading_assets.agents import DOCTRINE, SKILLS
from trading_assets.briefs.questions import TECHNICAL
from trading_assets.briefs.roles import PriceReading, Reading, TechnicalInputs, View
from trading_assets.reasoning.model import Answer, Ask
from trading_assets.reasoning.skills import SkillShelf

PAIRS = 100
ROUNDS = 9
IN_FLIGHT = 32
REPLAYS = 2_000
DAY_CALLS = 7_000
DAY_IN_FLIGHT = 16
SYMBOLS = ("IBM", "MSFT", "KO", "XOM", "GE", "WMT", "PG", "JNJ")
THINKING_S = 1.0
COUNCILS = 5
CLOSES = (
    "close",
    "sma_50",
    "sma_200",
    "bb_lower_20_2",
    "bb_upper_20_2",
    "macd_histogram_12_26_9",
    "atr_14",
    "high_252",
)
RATIOS = ("rsi_14", "adx_14", "mom_252_21", "vol_20")
RICH: Mapping[str, Any] = {
    "day_usd": 1_000.0,
    "backfill_usd": 1_000.0,
    "decision_usd": 1.0,
    "calls_per_decision_max": 100,
}


def moody(request: Request) -> Action:
    """Good answers of many sizes, and in seven of a hundred requests something else; the question's number decides."""
    number = number_in(request)
    mood = number * 2_654_435_761 % 100
    given, said = 700 + number % 900, 100 + number % 700
    bad = (
        prose(),
        refusal(),
        failing("rate_limited"),
        failing("overloaded"),
        failing("server_error"),
        failing("bad_request"),
    )
    if mood < len(bad):
        return bad[mood] if bad[mood].trouble else replace(bad[mood], input_tokens=given, output_tokens=said)
    return answer(GOOD, input_tokens=given, cached_tokens=number % 600, output_tokens=said)


def serve() -> None:
    """The other process: prints its addresses, answers until its input ends, then prints its bill."""
    with ModelServer() as server:
        calm = answer(GOOD, input_tokens=1500, output_tokens=200)
        scripts = {"moody": moody, "council": answering(by_skill(TECHNICAL), THINKING_S)}
        script = scripts.get(sys.argv[-1], calm)
        server.script("anthropic", script)
        server.script("openai", script)
        _say({"anthropic": server.url("anthropic"), "openai": server.url("openai")})
        sys.stdin.read()
        _say({"charged": str(server.charged), "requests": len(server.log), "charges": len(server.charges)})


def _say(words: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


@dataclass
class Elsewhere:
    """The server as a desk sees it."""

    urls: Mapping[str, str]
    process: subprocess.Popen[str]
    out: IO[str]

    def url(self, provider: str) -> str:
        """The address of a provider."""
        return self.urls[provider]

    def bill(self) -> Mapping[str, Any]:
        """Ends the server; what it charged."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        told: Mapping[str, Any] = json.loads(self.out.readline())
        self.process.wait()
        return told


@contextmanager
def desk(mood: str, *, in_flight: int) -> Iterator[tuple[Desk, Elsewhere]]:
    """A desk on a fresh ledger, and the server in another process."""
    command = [sys.executable, "-m", "bench.reasoner", "--serve", mood]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own module
    if process.stdout is None:
        raise RuntimeError("the server has no output")
    server = Elsewhere(json.loads(process.stdout.readline()), process, process.stdout)
    with tempfile.TemporaryDirectory(prefix="desk-bench-") as folder:
        engine = open_ledger(Path(folder) / "desk.sqlite", durability="FULL")
        made = Desk(engine, server, Path(folder) / "skills", in_flight_max=in_flight, budget=RICH, breaker=CALM)  # type: ignore[arg-type]
        try:
            yield made, server
        finally:
            made.close()
            engine.dispose()
            process.kill()
            process.wait()


CALM: Mapping[str, Any] = {"failures_max": 20, "cooldown_s": 0.001}


class Bare:
    """The provider's own client, with the prompt that the desk sends."""

    def __init__(self, made: Desk, server: Elsewhere) -> None:
        from anthropic import AsyncAnthropic

        reasoner = made.reasoner()
        prompt = reasoner._inquiries([Ask(JUDGE, seen(), made.desk_money(), NOON)], reasoner._skills())[0].asked.prompt
        self._client = AsyncAnthropic(api_key="none", base_url=server.url("anthropic"), max_retries=0)
        self._request: dict[str, Any] = {
            "model": CHEAP,
            "max_tokens": 2000,
            "system": prompt.system,
            "messages": [{"role": "user", "content": prompt.user}],
            "output_config": {"format": {"type": "json_schema", "schema": json.loads(schema_of(Ruling))}},
        }

    async def one(self) -> None:
        """One call, its answer parsed."""
        message = await self._client.messages.create(**self._request)
        Ruling.model_validate_json(message.content[0].text)

    async def many(self, count: int) -> None:
        """So many calls, IN_FLIGHT at once."""
        places = asyncio.Semaphore(IN_FLIGHT)

        async def placed() -> None:
            async with places:
                await self.one()

        await asyncio.gather(*(placed() for _ in range(count)))


def overhead() -> Mapping[str, float]:
    """Milliseconds a call, one after the other and 32 at once: bare, asked, and the difference."""
    with desk("calm", in_flight=IN_FLIGHT) as (made, server), asyncio.Runner() as runner:
        bare, reasoner = Bare(made, server), made.reasoner()
        numbers = iter(range(1, 1_000_000))

        def ask(count: int) -> None:
            chosen = [next(numbers) for _ in range(count)]
            budgets = [made.desk_money(f"d{number}") for number in chosen]
            if count == 1:
                reasoner.ask(JUDGE, seen(chosen[0]), budget=budgets[0], as_of=NOON)
            else:
                reasoner.ask_many(JUDGE, [seen(n) for n in chosen], budget=budgets, as_of=[NOON] * count)

        runner.run(bare.many(IN_FLIGHT))
        ask(IN_FLIGHT)
        single = [(_ms(lambda: runner.run(bare.one())), _ms(lambda: ask(1))) for _ in range(PAIRS)]
        size = 3 * IN_FLIGHT
        many = [(_ms(lambda: runner.run(bare.many(size))) / size, _ms(lambda: ask(size)) / size) for _ in range(ROUNDS)]
        cpu = {"bare_cpu_ms": _cpu_ms(lambda: runner.run(bare.many(size))), "ask_cpu_ms": _cpu_ms(lambda: ask(size))}
    told = {name: round(milliseconds / size, 2) for name, milliseconds in cpu.items()}
    return {**_told("1", single), **_told("32", many), **told}


def _told(name: str, pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    return {
        f"bare_ms_{name}": round(statistics.median(bare for bare, _ in pairs), 2),
        f"ask_ms_{name}": round(statistics.median(asked for _, asked in pairs), 2),
        f"overhead_ms_{name}": round(statistics.median(asked - bare for bare, asked in pairs), 2),
    }


def _cpu_ms(action: Any) -> float:
    """Processor time of this process, which other processes lengthen less than they lengthen the clock's."""
    begun = time.process_time()
    action()
    return (time.process_time() - begun) * 1000


def _ms(action: Any) -> float:
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000


def replays() -> Mapping[str, float]:
    """Recorded answers a second (masked, as a backfill asks), and answers of the rules."""
    with desk("calm", in_flight=IN_FLIGHT) as (made, _):
        questions = [seen(number) for number in range(REPLAYS)]
        asking: dict[str, Any] = {
            "budget": [made.past_money(f"d{number}") for number in range(REPLAYS)],
            "as_of": [NOON] * REPLAYS,
        }
        made.reasoner().ask_many(JUDGE, questions, **asking)
        replay, rules = made.reasoner(mode="replay_only"), made.reasoner(mode="rules")
        seconds = statistics.median(_ms(lambda: replay.ask_many(JUDGE, questions, **asking)) / 1000 for _ in range(5))
        ruled = statistics.median(_ms(lambda: rules.ask_many(JUDGE, questions, **asking)) / 1000 for _ in range(5))
    return {"replays_per_second": round(REPLAYS / seconds), "rules_per_second": round(REPLAYS / ruled)}


def readings(symbol: str, number: int) -> TechnicalInputs:
    """What the technical analyst is asked about one symbol; the number makes it another question."""
    where: dict[str, Any] = {"table": "indicators", "session": LONG_AGO.date()}
    prices = [PriceReading(id=f"p{n}", column=name, value=100.0 + n * number, **where) for n, name in enumerate(CLOSES)]
    ratios = [Reading(id=f"r{n}", column=name, value=20.0 + n, **where) for n, name in enumerate(RATIOS)]
    view = View(id="v1", name="mild_trend")
    return TechnicalInputs(
        symbol=symbol, session=LONG_AGO.date(), view=view, prices=tuple(prices), readings=tuple(ratios)
    )


def council() -> Mapping[str, float | str]:
    """Eight symbols before one analyst who thinks for a second: alone side by side and in one panel, wall and USD by the ledger.

    The texts are those of the committed skill and doctrine; the server counts a token for four bytes.
    """
    told: dict[str, float | str] = {}
    numbers = iter(range(1, 1_000))
    with desk("council", in_flight=16) as (made, _):
        made.shelf = SkillShelf(SKILLS, DOCTRINE)
        for name, panel_max in (("alone", 1), ("panel", 8)):
            reasoner, spent = made.reasoner(panel_max=panel_max), made.booked()
            calls, walls = len(made.calls()), list[float]()
            for turn in range(COUNCILS + 1):
                budget = made.past_money(f"{name}-{turn}")
                asks = [Ask(TECHNICAL, readings(each, next(numbers)), budget, LONG_AGO) for each in SYMBOLS]
                walls.append(_ms(partial(reasoner.gather, asks)) / 1000)
            told[f"{name}_calls"] = (len(made.calls()) - calls) / (COUNCILS + 1)
            told[f"{name}_seconds"] = round(statistics.median(walls[1:]), 3)
            told[f"{name}_usd"] = str((made.booked() - spent) / (COUNCILS + 1))
    return told


def day(calls: int) -> Mapping[str, Any]:
    """A day of so many questions, 16 at once: what the ledger says was spent, and what the server charged, USD."""
    with desk("moody", in_flight=DAY_IN_FLIGHT) as (made, server):
        questions = [seen(number) for number in range(calls)]
        budgets = [made.desk_money(f"d{number}") for number in range(calls)]
        begun = time.perf_counter()
        said = made.reasoner().ask_many(JUDGE, questions, budget=budgets, as_of=[NOON] * calls)
        seconds = time.perf_counter() - begun
        made.check()
        booked, outcomes = made.booked(), made.outcomes()
        bill = server.bill()
    answered = [one for one in said if isinstance(one, Answer)]
    return {
        "day_questions": calls,
        "day_requests": bill["requests"],
        "day_outcomes": len({outcome for _, outcome in outcomes}),
        "day_models": sorted({model for model, _ in outcomes} & {CHEAP, LUNA}),
        "day_seconds": round(seconds, 1),
        "day_booked_usd": str(booked),
        "day_charged_usd": bill["charged"],
        "day_difference_usd": str(booked - Decimal(bill["charged"])),
        "day_answers_usd": str(sum((one.cost_usd for one in answered), Decimal(0))),
    }


def main() -> None:
    """Prints the figures."""
    if "--serve" in sys.argv:
        serve()
        return
    calls = int(sys.argv[sys.argv.index("--calls") + 1]) if "--calls" in sys.argv else DAY_CALLS
    figures = {
        **overhead(),
        **replays(),
        **council(),
        **day(calls),
        "load": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
    }
    if "--json" not in sys.argv:
        for name, value in figures.items():
            sys.stderr.write(f"{name}: {value}\n")
    emit(figures)


if __name__ == "__main__":
    main()
