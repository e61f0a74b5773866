"""A skill that keeps every rule, and a place to put it."""

from pathlib import Path

SKILL = """\
---
name: tide-watcher
description: Watches the tide of prices.
license: MIT
metadata:
  version: "1"
  agent: tide
  model-tier: cheap
  input-schema: NewsInputs
  output-schema: Opinion
  max-cost-usd: "0.02"
---
## Persona

You watch the tide.

## Inputs

Numbers.

## Output schema

| field | type | bounds |
| --- | --- | --- |
| `signal` | number | -1 to 1 |
| `confidence` | number | 0 to 1 |
| `reasons` | list of text | 1 to 5 items, each 1 to 240 characters |
| `evidence` | list of text | 1 to 12 items, each matching `^[a-z][0-9]{1,3}$` |
"""


def put(shelf: Path, text: str = SKILL, name: str = "tide-watcher") -> Path:
    """Writes a skill's file into its folder on the shelf and returns the folder."""
    folder = shelf / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "SKILL.md").write_text(text, newline="")
    return folder
