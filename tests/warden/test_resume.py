"""W6: nothing but an operator's word leads out of a halt. Read from the code itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
CODE = ("trading_assets", "resources", "gateway", "warden", "desk", "sensors", "schedules", "simulation")
WRITERS = {"resources/ledger/store.py"}
CALLERS = {"desk/halts.py"}
TABLE = "ACKNOWLEDGEMENTS"


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the desk, by its path."""
    for folder in CODE:
        for path in sorted((PROJECT / folder).rglob("*.py")):
            yield path.relative_to(PROJECT).as_posix(), ast.parse(path.read_text())


def is_table(node: ast.AST) -> bool:
    """Whether it names the table of acknowledgements, under whatever module."""
    return (isinstance(node, ast.Attribute) and node.attr == TABLE) or (isinstance(node, ast.Name) and node.id == TABLE)


def writes(tree: ast.Module) -> bool:
    """Whether a module changes the table: by its own methods, by a statement on it, or in SQL."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in {"insert", "update", "delete"} and is_table(node.value):
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            if name in {"insert", "update", "delete"} and any(is_table(each) for each in node.args):
                return True
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = " ".join(node.value.lower().split())
            if any(f"{verb} acknowledgements" in words for verb in ("insert into", "update", "delete from")):
                return True
    return False


def calls(tree: ast.Module) -> bool:
    """Whether a module acknowledges a halt through the ledger."""
    return any(isinstance(node, ast.Attribute) and node.attr == "acknowledge" for node in ast.walk(tree))


def hands_on(tree: ast.Module) -> bool:
    """Whether a module lends the table to somebody under another name."""
    return any(
        isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr)
        and node.value is not None
        and any(is_table(each) for each in ([node.value] if not isinstance(node.value, ast.Tuple) else node.value.elts))
        for node in ast.walk(tree)
    )


@pytest.mark.control("W6")
def test_only_the_operators_command_acknowledges_a_halt() -> None:
    found = {path for path, tree in modules() if calls(tree)}
    assert found - {"resources/ledger/store.py"} == CALLERS


@pytest.mark.control("W6")
def test_only_the_operators_part_of_the_ledger_writes_an_acknowledgement() -> None:
    made_by_a_migration = "resources/ledger/migrations/"
    found = {path for path, tree in modules() if writes(tree) and not path.startswith(made_by_a_migration)}
    assert found == WRITERS
    lent = {path for path, tree in modules() if hands_on(tree)}
    assert lent == {"resources/ledger/schema/orders.py"} or not lent


@pytest.mark.parametrize(
    "code",
    [
        "connection.execute(t.ACKNOWLEDGEMENTS.insert(), row)",
        "from schema import ACKNOWLEDGEMENTS\nACKNOWLEDGEMENTS.update()",
        "sa.insert(t.ACKNOWLEDGEMENTS)",
        "connection.exec_driver_sql('INSERT   INTO acknowledgements values (1)')",
    ],
)
def test_the_reading_of_the_code_sees_each_way_to_write_one(code: str) -> None:
    assert writes(ast.parse(code))


def test_the_reading_of_the_code_takes_a_question_for_no_answer() -> None:
    assert not writes(ast.parse("sa.select(t.ACKNOWLEDGEMENTS.c.halt_id)\n'acknowledgements are read'"))
    assert calls(ast.parse("ledger.acknowledge(1, 'seen')"))
    assert hands_on(ast.parse("answers = t.ACKNOWLEDGEMENTS"))
