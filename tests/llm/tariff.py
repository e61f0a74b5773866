"""What the scripted server charges: its own prices and its own arithmetic, so that two bills can be compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from tests.llm.wire import Tokens

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class Tariff:
    """USD per million tokens (fresh input, read from a cache, written to it, output), and USD per search."""

    fresh: Decimal
    cached: Decimal
    written: Decimal
    output: Decimal
    search: Decimal = Decimal(0)

    def charge(self, tokens: Tokens, *, batch: bool = False) -> Decimal:
        """The exact bill, USD, not rounded; a batch costs half."""
        fresh = tokens.input - tokens.cached - tokens.written
        total = (
            fresh * self.fresh
            + tokens.cached * self.cached
            + tokens.written * self.written
            + tokens.output * self.output
        ) / _MILLION
        return (total / 2 if batch else total) + tokens.searches * self.search


def _tariff(fresh: str, cached: str, written: str, output: str, search: str = "0") -> Tariff:
    return Tariff(Decimal(fresh), Decimal(cached), Decimal(written), Decimal(output), Decimal(search))


TARIFFS: Mapping[str, Tariff] = {
    "claude-haiku-5-5": _tariff("0.10", "0.01", "0.125", "0.50"),
    "claude-sonnet-5-5": _tariff("2", "0.10", "2.50", "10"),
    "claude-opus-5-5": _tariff("4", "0.20", "5", "20"),
    "gpt-6-luna": _tariff("0.10", "0.01", "0.125", "0.50"),
    "gpt-6.1-terra": _tariff("1", "0.05", "1.25", "5"),
    "gpt-6.1-sol": _tariff("2", "0.10", "2.50", "10"),
    "gemini-3.8-flash": _tariff("0.75", "0.075", "0.75", "3.75", "0.014"),
    "gemini-2.5-flash": _tariff("0.30", "0.03", "0.30", "2.50", "0.035"),
    "deepseek-flash": _tariff("0.15", "0.003", "0.15", "0.60"),
    "deepseek-v4-pro": _tariff("0.66", "0.022", "0.66", "1.98"),
}
