"""The signers that are code stay code."""

import ast
from pathlib import Path

import pytest

import trading_assets.signatures


@pytest.mark.fault(99)
def test_no_signer_that_is_code_can_ask_a_model() -> None:
    """One model cannot play all three signers while two of them have no way to a model; import-linter holds the same.

    The third, the double checker, words a question and asks nobody itself: test_double_checker.py.
    """
    folder = Path(trading_assets.signatures.__path__[0])
    imported = {
        name
        for path in folder.glob("*.py")
        if path.stem != "double_checker"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
    }
    assert imported
    assert not {name for name in imported if "reasoning" in name or name.startswith(("resources.llm", "pydantic_ai"))}
