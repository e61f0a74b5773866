"""Every fault of docs/faults.md has a test that says so, and no test names a fault that the page does not tell."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "faults.md"


def catalogue() -> set[int]:
    """The numbers in the first column of the page's tables."""
    return {int(number) for number in re.findall(r"^\| (\d+) \|", PAGE.read_text(), flags=re.MULTILINE)}


def marked() -> set[int]:
    """The numbers in marks of the suite."""
    return {number for path in sorted(TESTS.rglob("test_*.py")) for number in _marks(ast.parse(path.read_text()))}


def _marks(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fault":
            yield from (a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, int))


def test_every_fault_of_the_page_is_proven_by_a_test() -> None:
    assert catalogue() - marked() == set()


def test_no_test_names_a_fault_that_the_page_does_not_tell() -> None:
    assert marked() - catalogue() == set()


def test_the_page_is_not_empty() -> None:
    assert len(catalogue()) > 25
