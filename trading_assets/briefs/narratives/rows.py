"""Narratives as rows of NARRATIVES, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from trading_assets.briefs.model import Evidence
from trading_assets.briefs.narratives.model import Narrative


def narrative_rows(narratives: Sequence[Narrative]) -> list[dict[str, object]]:
    """The narratives as rows of NARRATIVES."""
    return [_row(narrative) for narrative in narratives]


def narratives_from_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[Narrative, ...]:
    """The inverse of `narrative_rows`; a row that is not a narrative is an error."""
    return tuple(_narrative(row) for row in rows)


def _row(narrative: Narrative) -> dict[str, object]:
    plain = narrative.model_dump(exclude={"as_of", "evidence"})
    evidence = json.dumps([each.model_dump(mode="json") for each in narrative.evidence], ensure_ascii=False)
    return {**plain, "evidence": evidence, "knowable_at": narrative.as_of}


def _narrative(row: Mapping[str, Any]) -> Narrative:
    fields = {name: value for name, value in row.items() if name not in {"evidence", "knowable_at"}}
    evidence = tuple(Evidence.model_validate(item) for item in json.loads(row["evidence"]))
    return Narrative(**fields, evidence=evidence, as_of=row["knowable_at"])
