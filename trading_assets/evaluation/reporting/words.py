"""How the report says numbers: with their unit and their n, and noise by its name."""

from collections.abc import Sequence
from decimal import Decimal

from trading_assets.evaluation.summary import UNDEFINED

NOISE = "not distinguishable from nothing"


def usd(amount: Decimal | float | None) -> str:
    """An amount with its sign; nothing has none."""
    if amount is None:
        return UNDEFINED
    return f"{amount:+,.2f}" if round(amount, 2) else "0.00"


def number(value: object, form: str) -> str:
    """A value in a form, or n/a."""
    return UNDEFINED if value is None else form.format(value)


def count(many: int, one: str, more: str = "") -> str:
    """A number with its noun."""
    return f"{many} {one if many == 1 else more or one + 's'}"


def spoken(name: str) -> str:
    """A name of the record as words."""
    return name.replace("_", " ")


def listed(names: Sequence[str]) -> str:
    """Names in one phrase."""
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else "".join(names)


def is_noise(low: float | None, high: float | None, nothing: float = 0.0) -> bool:
    """Whether an interval holds `nothing`, or there is no interval at all."""
    return low is None or high is None or low <= nothing <= high
