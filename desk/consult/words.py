"""What a person's words ask for, read without a model: look-ups by keyword and ticker, a proposal in its form, an order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from trading_assets.plans.guide import (
    CALLS_MAX,
    LINE_CHARACTERS_MAX,
    LINES_MAX,
    Finding,
    GuideAnswer,
    GuideInputs,
    Suggestion,
    ToolCall,
)
from trading_assets.plans.model import PlanSide

NO_ORDERS = (
    "Nothing in a chat can send, size, price, approve or cancel a trade, and no limit can be changed here.",
    "What you can do: propose SYMBOL long STRATEGY because REASON. Code finds entry, stop, target and size, the personas vote, "
    "and the risk gate judges it like any other plan.",
    "desk halt stops new positions; config/preferences.yaml holds the limits, and only you write it.",
)
EXAMPLES = (
    *(
        "why did we buy AAPL",
        "theses",
        "regime of IBM",
        "bars MSFT 5",
        "indicators AAPL",
        "news IBM",
        "vetoes",
        "positions",
    ),
    *("trades", "lessons", "journal 2012-12-28", "what did today cost", "limits"),
)
_TOPICS: Mapping[str, str] = {
    "bars": r"bars?|prices?|closes?|closed|ohlc|candles?",
    "indicators": r"indicators?|rsi|macd|atr|adx|sma|ema|bollinger|momentum",
    "regimes": r"regimes?|liquidity|trending",
    "breadth": r"breadth|participation",
    "news": r"news|headlines?",
    "narratives": r"narratives?|story|stories",
    "briefs": r"briefs?|analysts?|opinions?",
    "account": r"positions?|holdings?|hold|holds|account|equity|cash|balance|portfolio|halted",
    "vetoes": r"veto|vetoes|vetoed|refused|rejected|blocked",
    "plans": r"plans?|planned",
    "votes": r"votes?|voted|personas?",
    "theses": r"thesis|theses",
    "stance": r"stance|chief",
    "fills": r"fills?|filled|executions?",
    "trades": r"trades?|profits?|pnl|loss|losses|performance",
    "lessons": r"lessons?|learnt|learned|mistakes?",
    "journal": r"journal|happened|entries",
    "costs": r"costs?|spend|spent|tokens?|expensive",
    "limits": r"limits?|settings?|preferences?|allowed|strategy|strategies|symbols|quorum|slots?",
}
_VERBS = {
    "enter": r"\b(?:buy|bought|buying|enter|entered|short|shorted)\b",
    "exit": r"\b(?:sell|sold|selling|exit|exited|closed?)\b",
    "add": r"\b(?:add|added)\b",
    "trim": r"\b(?:trim|trimmed)\b",
}
_WHY = ("plans", "theses", "briefs", "votes")
_WHY_NOT = ("vetoes", "plans", "theses", "briefs")
_OF_A_SYMBOL = ("regimes", "indicators", "theses", "briefs")
_ORDER = re.compile(
    r"(?:please |now |just |go )*(?:(?:buy|sell|short|cover|close|exit|liquidate|dump)\b(?=.*(?:\d|\b(?:all|everything|half"
    r"|now|at once|immediately|market|shares?|my|our)\b))|(?:approve|sign|send|submit|place|execute|cancel)\b"
    r"|(?:raise|lift|lower|change|set|remove|disable|ignore|double)\b.*\b(?:limits?|stops?|size|target|halt|caps?|veto)\b)",
    re.IGNORECASE,
)
_PROPOSES = re.compile(r"(?:please )?(?:propose|suggest)\b", re.IGNORECASE)
_PROPOSE = re.compile(
    r"(?:please )?(?:propose|suggest)\s+(?P<symbol>\S+)\s+(?P<side>long|short)\s+(?:by |with )?(?P<strategy>[a-z_]+)"
    r"(?:\s*[:,;]\s*|\s+because\s+|\s+)(?P<reason>(?!because\s*$)\S.*)",
    re.IGNORECASE,
)
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_NUMBER = re.compile(r"(?<![\w.$-])([1-9]|[12]\d|30)(?![\w.%]|-\d)")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9.\-]*")
_CAPITALS = re.compile(r"[A-Z]{2,5}")
_NO_TICKERS = frozenset(
    {"RSI", "MACD", "ATR", "ADX", "SMA", "EMA", "USD", "PNL", "VWAP", "OHLC", "AI", "OK", "US", "ETF", "HELP", "WHY"}
)


def refused_order(question: str) -> bool:
    """Whether the words order a trade of some size, an approval or another limit: what nothing here can do."""
    return _ORDER.match(question.strip()) is not None


def by_keywords(inputs: GuideInputs) -> GuideAnswer:
    """The rules member of the guide: shows what was looked up, else looks up what the words name, else says what it can do."""
    if inputs.findings:
        return GuideAnswer(
            calls=(),
            reply=tuple(_shown(inputs.findings)),
            citations=tuple(f.id for f in inputs.findings),
            proposal=None,
        )
    proposed = _PROPOSE.fullmatch(inputs.question.strip())
    if proposed:
        return _proposed(inputs, proposed)
    asks_for_more = inputs.rounds_left and not _PROPOSES.match(inputs.question.strip())
    calls = tuple(_calls(inputs))[:CALLS_MAX] if asks_for_more else ()
    return GuideAnswer(calls=calls, reply=() if calls else _help(inputs), citations=(), proposal=None)


def _proposed(inputs: GuideInputs, words: re.Match[str]) -> GuideAnswer:
    symbol, strategy = words["symbol"].upper().rstrip(","), words["strategy"].lower()
    problem = None
    if symbol not in inputs.symbols:
        problem = f"The desk does not trade {symbol[:20]}; it trades {', '.join(inputs.symbols)}."
    elif strategy not in inputs.strategies:
        problem = f"No strategy {strategy[:40]} may act; these may: {', '.join(inputs.strategies)}."
    if problem:
        return GuideAnswer(calls=(), reply=(problem[:LINE_CHARACTERS_MAX],), citations=(), proposal=None)
    side: PlanSide = "long" if words["side"].lower() == "long" else "short"
    reason = words["reason"].strip()[:LINE_CHARACTERS_MAX]
    suggestion = Suggestion(symbol=symbol, side=side, strategy=strategy, reason=reason)
    reply = f"A proposal in your own words: {symbol} {side} by {strategy}. Code computes all its numbers."
    return GuideAnswer(calls=(), reply=(reply,), citations=(), proposal=suggestion)


def _calls(inputs: GuideInputs) -> Iterator[ToolCall]:
    """The look-ups that the words name, for each ticker in turn."""
    takes = {tool.name: {name.rstrip("*"): name.endswith("*") for name in tool.takes} for tool in inputs.tools}
    symbols = _symbols(inputs)
    for tool in _topics(inputs.question, symbols):
        for symbol in symbols or (None,):
            if symbol or not takes[tool].get("symbol"):
                yield _call(tool, takes[tool], symbol, inputs)
            if "symbol" not in takes[tool]:
                break


def _call(tool: str, takes: Mapping[str, bool], symbol: str | None, inputs: GuideInputs) -> ToolCall:
    days, count = _days(inputs), _NUMBER.search(_DATE.sub(" ", inputs.question))
    given: dict[str, Any] = {"symbol": symbol, "rows": int(count.group()) if count else None}
    if days:
        given |= {"session": days[0], "first": min(days), "last": max(days)}
    if tool == "plans":
        given["kind"] = next(
            (kind for kind, verbs in _VERBS.items() if re.search(verbs, inputs.question.lower())), None
        )
    if tool == "costs" and not days and re.search(r"\byesterday\b", inputs.question, re.IGNORECASE):
        given["session"] = inputs.today - timedelta(days=1)
    return ToolCall(tool=tool, **{name: value for name, value in given.items() if name in takes})


def _topics(question: str, symbols: Sequence[str]) -> tuple[str, ...]:
    words = question.lower()
    if re.search(r"\bwhy\b", words):
        against = re.search(r"\b(?:not|no|never|refused|veto\w*)\b|n't\b", words)
        return _WHY_NOT if against else _WHY
    named = [tool for tool, pattern in _TOPICS.items() if re.search(rf"\b(?:{pattern})\b", words)]
    return tuple(named) or (_OF_A_SYMBOL if symbols else ())


def _symbols(inputs: GuideInputs) -> tuple[str, ...]:
    """Tickers of the desk as they stand in the question, in capitals or (three letters or more) not; then others in capitals."""
    words = [word.rstrip(".-") for word in _WORD.findall(inputs.question)]
    known = [w.upper() for w in words if w.upper() in inputs.symbols and (w.isupper() or len(w) >= 3)]
    market = ["MARKET"] if "MARKET" in words else []
    foreign = [word for word in words if _CAPITALS.fullmatch(word) and word not in _NO_TICKERS]
    return tuple(dict.fromkeys(known or market or foreign))


def _days(inputs: GuideInputs) -> list[date]:
    days = []
    for hit in _DATE.findall(inputs.question):
        try:
            days.append(date.fromisoformat(hit))
        except ValueError:
            continue
    return days


def _help(inputs: GuideInputs) -> tuple[str, ...]:
    needing = [tool for tool in _topics(inputs.question, ()) if tool in {"bars", "indicators"}]
    if needing:
        return (f"Of which symbol? The desk trades {', '.join(inputs.symbols)}."[:LINE_CHARACTERS_MAX],)
    return (
        "The rules answer questions with these words: " + ", ".join(_TOPICS) + ".",
        "For example: " + "; ".join(EXAMPLES) + ".",
        f"Or: propose SYMBOL long STRATEGY because REASON ({', '.join(inputs.strategies)})."[:LINE_CHARACTERS_MAX],
    )


def _shown(findings: Sequence[Finding]) -> Iterator[str]:
    """Findings as lines, as many as a reply may have."""
    lines = [line for finding in findings for line in _lines(finding)]
    left_out = len(lines) - LINES_MAX
    if left_out > 0:
        lines = [*lines[: LINES_MAX - 1], f"and {left_out + 1} lines more: ask for one thing at a time"]
    yield from lines


def _lines(finding: Finding) -> Iterator[str]:
    yield f"[{finding.id}] {finding.call}{f': {finding.note}' if finding.note else ''}"[:LINE_CHARACTERS_MAX]
    for row in finding.rows:
        yield (row.cells or "-")[:LINE_CHARACTERS_MAX]
        if row.quoted:
            yield f"  {row.quoted}"[:LINE_CHARACTERS_MAX]
