"""The catalogue of controls: every one has a test that trips it, a line in docs/safety.md, and its limits in the preferences."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from trading_assets.core.preferences import Preferences
from trading_assets.signatures import market_rules, order_rules, plan_rules, sender_rules
from trading_assets.signatures.controls import CONTROLS

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "safety.md"
IDS = [control.id for control in CONTROLS]


@cache
def marked() -> frozenset[str]:
    """The ids in `control` marks of the suite, those of the watchdog (W1 to W12) aside."""
    texts = (path.read_text() for path in sorted(TESTS.rglob("test_*.py")))
    trees = [ast.parse(text) for text in texts if "mark.control(" in text]
    return frozenset(name for tree in trees for name in _marks(tree) if not name.startswith("W"))


def _marks(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "control":
            yield from (a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))


def rows() -> dict[str, list[str]]:
    """The page's lines about controls: id to its cells."""
    found = re.findall(r"^\| ([ACPX]\d+[a-z]?) \| (.*) \|$", PAGE.read_text(), flags=re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in found}


def test_every_control_has_a_test_that_trips_it() -> None:
    assert set(IDS) - marked() == set()


def test_no_test_names_a_control_that_does_not_exist() -> None:
    assert marked() - set(IDS) == set()


def test_the_catalogue_holds_every_number_once_and_in_order() -> None:
    assert len(set(IDS)) == len(IDS)
    numbers = [int(match[1]) for name in IDS if (match := re.fullmatch(r"C(\d+)[a-z]?", name))]
    assert sorted(set(numbers)) == list(range(1, 35))
    assert numbers == sorted(numbers)


def test_every_rule_belongs_to_a_control() -> None:
    modules = (plan_rules.OPENING, plan_rules.REDUCING, sender_rules.OPENING, sender_rules.REDUCING)
    ids = {
        name for rules in (*modules, order_rules.OPENING, order_rules.REDUCING, market_rules.OPENING) for name in rules
    }
    assert ids - set(IDS) == set()


def test_no_two_modules_have_a_rule_for_the_same_control() -> None:
    opening = [*sender_rules.OPENING, *order_rules.OPENING, *market_rules.OPENING]
    reducing = [*sender_rules.REDUCING, *order_rules.REDUCING]
    assert len(set(opening)) == len(opening)
    assert len(set(reducing)) == len(reducing)


def test_every_control_is_judged_somewhere() -> None:
    for control in CONTROLS:
        rules = (control.plan_rule, control.exit_rule, control.sending_rule, control.leaving_rule)
        assert any(rules) != (control.elsewhere is not None), control.id


def test_the_trading_state_never_holds_a_reduction_back() -> None:
    asked = {control.id for control in CONTROLS if control.exit_rule or control.leaving_rule}
    assert asked == {"C2", "C3", "C6", "C29", "C33", "X1"}


def test_every_field_of_the_preferences_bounds_a_control_and_every_key_is_a_field() -> None:
    assert {key for control in CONTROLS for key in control.keys} == set(Preferences.model_fields)


def test_the_page_tells_every_control_with_name_and_keys_in_the_catalogues_order() -> None:
    page = rows()
    assert list(page) == IDS
    for control in CONTROLS:
        cells = page[control.id]
        assert cells[0] == control.name
        assert re.findall(r"`(\w+)`", cells[2]) == list(control.keys)


def test_the_page_says_where_each_control_is_judged() -> None:
    places = {
        "plan": "decision, sending",
        "sending": "sending",
        "state": "trading state",
        "slot": "decision",
        "ledger": "ledger",
    }
    told = {control.id: rows()[control.id][3] for control in CONTROLS}
    assert told == {control.id: places[control.where] for control in CONTROLS}


def test_the_page_says_what_a_reduction_is_asked() -> None:
    told = {name for name, cells in rows().items() if cells[4] != "—"}
    assert told == {control.id for control in CONTROLS if control.exit_rule or control.leaving_rule}


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    written = {
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert len(named) > 30
    assert named - written == set()
