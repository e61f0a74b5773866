"""Every control of the watchdog stands in docs/safety.md, and a test that trips it says so."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "safety.md"
WANTED = {f"W{number}" for number in range(1, 13)}


def marked() -> set[str]:
    """The ids in marks of the suite."""
    calls = (
        node
        for path in sorted(TESTS.rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "control"
    )
    return {
        argument.value
        for call in calls
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


def test_every_control_of_the_watchdog_is_tripped_by_a_test() -> None:
    assert WANTED - marked() == set()


def test_the_page_tells_every_control_of_the_watchdog() -> None:
    assert set(re.findall(r"^\| (W\d+) \|", PAGE.read_text(), flags=re.MULTILINE)) == WANTED
