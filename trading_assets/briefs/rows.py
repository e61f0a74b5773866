"""Briefs as rows of ANALYST_BRIEFS, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date

from trading_assets.briefs.facts import Row
from trading_assets.briefs.model import Brief, Evidence


def brief_rows(briefs: Sequence[Brief], session: date) -> list[dict[str, object]]:
    """The briefs as rows of ANALYST_BRIEFS for the session that they serve."""
    return [
        {
            "session": session,
            "agent": brief.agent,
            "symbol": brief.symbol,
            "signal": brief.signal,
            "confidence": brief.confidence,
            "reasons": json.dumps(brief.reasons, ensure_ascii=False),
            "evidence": json.dumps([e.model_dump(mode="json") for e in brief.evidence], ensure_ascii=False),
            "route": brief.route,
            "model": brief.model,
            "leakage": brief.leakage,
            "answer_key": brief.answer_key,
            "knowable_at": brief.as_of,
        }
        for brief in briefs
    ]


def briefs_from_rows(rows: Sequence[Row]) -> tuple[Brief, ...]:
    """The inverse of `brief_rows`; a row that is not a brief is an error."""
    return tuple(
        Brief(
            agent=row["agent"],
            symbol=row["symbol"],
            as_of=row["knowable_at"],
            signal=row["signal"],
            confidence=row["confidence"],
            reasons=tuple(json.loads(row["reasons"])),
            evidence=tuple(Evidence.model_validate(item) for item in json.loads(row["evidence"])),
            route=row["route"],
            model=row["model"],
            leakage=row["leakage"],
            answer_key=row["answer_key"],
        )
        for row in rows
    )
