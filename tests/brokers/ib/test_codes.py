"""Each code has one meaning and one reaction, and a code that nobody knows moves nothing."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.brokers.ib.codes import CODES, reaction_to
from trading_assets.broker.model import Reaction

# The table of facts about Interactive Brokers, section 5, and the codes that its other sections name.
EXPECTED: dict[Reaction, tuple[int, ...]] = {
    "link_lost": (1100, 1300, 2110, 502, 504),
    "link_back_data_lost": (1101,),
    "link_back": (1102,),
    "data_lost": (2103, 2105, 2157),
    "data_back": (2104, 2106, 2158),
    "ignore": (2107, 2108, 2119, 165, 300, 317, 366),
    "order_lives": (2109, 399, 404, 329, 10318, 10349),
    "look_again": (103, 104, 105, 135, 136, 161, 321, 10147, 10148, 10225),
    "order_rejected": (110, 201, 203, 434, 460, 10289),
    "order_cancelled": (202,),
    "no_contract": (200,),
    "refuse_to_start": (326, 503),
    "no_live_data": (101, 354, 420, 10089, 10090, 10167, 10168, 10186),
    "competing_login": (10197,),
    "pacing": (100, 162),
    "protocol": (505, 507),
}


@pytest.mark.fault(49)
@pytest.mark.fault(50)
@pytest.mark.parametrize(("reaction", "code"), [(name, code) for name, codes in EXPECTED.items() for code in codes])
def test_a_code_has_the_reaction_of_its_row(reaction: Reaction, code: int) -> None:
    assert CODES[code].reaction == reaction_to(code) == reaction


def test_the_table_holds_no_code_that_no_row_expects() -> None:
    assert CODES.keys() == {code for codes in EXPECTED.values() for code in codes}


def test_every_reaction_is_one_the_gateway_knows_and_each_has_a_code() -> None:
    assert {code.reaction for code in CODES.values()} == set(get_args(Reaction)) == set(EXPECTED)


def test_every_code_says_what_it_means_under_its_own_number() -> None:
    assert all(code.meaning and number == code.code for number, code in CODES.items())


@pytest.mark.fault(51)
@settings(max_examples=25)
@given(st.integers(min_value=-1, max_value=20_000).filter(lambda code: code not in CODES))
def test_a_code_that_is_not_listed_makes_the_gateway_look_again(code: int) -> None:
    assert reaction_to(code) == "look_again"
