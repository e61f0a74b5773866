"""The improvement report: findings, text and pictures, and how they reach the disk.

It appears on every session, most of all on the days on which things went wrong: no input but the lane and the session is needed.
"""

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trading_assets.evaluation.findings import Findings, ReportInputs, find
from trading_assets.evaluation.markdown import render
from trading_assets.evaluation.plots import plots_of
from trading_assets.theses.picture import draw


@dataclass(frozen=True)
class Report:
    """A rendered report. `plots` is file name to PNG bytes; the markdown refers to these names."""

    findings: Findings
    markdown: str
    data: Mapping[str, Any]
    plots: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """The files of a written report."""

    markdown: Path
    json: Path
    plots: tuple[Path, ...]


def improvement_report(inputs: ReportInputs) -> Report:
    """The report of the session, from whatever rows there are."""
    findings = find(inputs)
    plots = plots_of(
        inputs.account,
        inputs.benchmark,
        starting_cash=inputs.starting_cash,
        strategies=findings.strategies,
        regimes=findings.regimes,
    )
    if inputs.mind is not None and inputs.mind.theses:
        plots["theses.png"] = draw(inputs.mind)
    return Report(findings, render(findings, tuple(plots)), findings.as_json(), plots)


def write_report(report: Report, folder: Path) -> ReportPaths:
    """Writes report.md, report.json and the pictures; each file appears whole, the markdown last."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = tuple(_replace(folder / name, content) for name, content in report.plots.items())
    text = json.dumps(report.data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    data = _replace(folder / "report.json", text.encode())
    return ReportPaths(_replace(folder / "report.md", report.markdown.encode()), data, plots)


def _replace(path: Path, content: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
