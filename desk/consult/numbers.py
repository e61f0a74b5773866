"""Numbers of a reply that stand in nothing that was looked up: shown to the person, so that an invented figure is seen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

from trading_assets.plans.guide import Finding

_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_CLOCK = re.compile(r"(?<!\d)\d{1,2}:\d{2}(?!\d)")
_CITATION = re.compile(r"\[?\bt\d{1,2}\b\]?")
# A figure on its own: not a part of a word or of a name such as sma_50.
_SAID = re.compile(r"(?<![\w.])(?P<number>\d+(?:,\d{3})*(?:\.\d+)?)(?P<scale>\s?%|\s?percent\b|[kKmM]\b)?(?!\w)")
_GIVEN = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_SCALES = {"%": Decimal("0.01"), "percent": Decimal("0.01"), "k": Decimal(1000), "m": Decimal(1_000_000)}


def not_found(reply: Iterable[str], findings: Sequence[Finding]) -> tuple[str, ...]:
    """Figures, dates and times of the reply that no finding holds, each once, in their order.

    A figure is found where a number of a finding rounds to it at the reply's own places, whatever its sign; a percentage also where
    it stands as a fraction, `k` and `m` where it stands in full.
    """
    given = "\n".join(_words(finding) for finding in findings)
    numbers = tuple({Decimal(hit.replace(",", "")) for hit in _GIVEN.findall(_CLOCK.sub(" ", _DATE.sub(" ", given)))})
    missing: list[str] = []
    for line in reply:
        text = _CITATION.sub(" ", line)
        for fixed in (_DATE, _CLOCK):
            missing += [hit for hit in fixed.findall(text) if hit not in given]
            text = fixed.sub(" ", text)
        missing += [hit.group().strip() for hit in _SAID.finditer(text) if not _stands(hit, numbers)]
    return tuple(dict.fromkeys(missing))


def _stands(hit: re.Match[str], numbers: Sequence[Decimal]) -> bool:
    said, scale = hit["number"].replace(",", ""), _SCALES.get((hit["scale"] or "").strip().lower())
    return _rounds_to(said, numbers) or (scale is not None and _rounds_to(said, [each / scale for each in numbers]))


def _rounds_to(said: str, numbers: Sequence[Decimal]) -> bool:
    half_a_place = Decimal("0.5").scaleb(-len(said.partition(".")[2]))
    return any(abs(each - Decimal(said)) <= half_a_place for each in numbers)


def _words(finding: Finding) -> str:
    rows = (f"{row.cells} {row.quoted or ''}" for row in finding.rows)
    return "\n".join((finding.call, finding.note, *rows))
