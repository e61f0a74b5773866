"""Each message that the broker sends has the fields of a recorded one: as many, and of the same kind at each place."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.tws import messages
from tests.tws.book import Fill, Instrument, Market, Order
from tests.tws.wire import fields_of, framed

TESLA = Instrument("TSLA", 76792991, name="TESLA INC")
AT = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


def recorded(shared_data: Path, pattern: str) -> list[list[str]]:
    """The recorded messages that begin so, without the bar at the end."""
    lines = (shared_data / "ib_wire" / "rust_ibapi_recorded_messages.txt").read_text().splitlines()
    found = [line.removesuffix("|").split("|") for line in lines if re.match(pattern, line)]
    assert found, f"no recording begins with {pattern}"
    return found


def sent(message: Sequence[object]) -> list[str]:
    return fields_of(framed(message)[4:])


def kind(field: str) -> str:
    if not field:
        return "empty"
    if re.fullmatch(r"-?\d+", field):
        return "whole"
    return "number" if re.fullmatch(r"-?\d+\.\d+(E\d+)?", field) else "text"


def agree(ours: str, theirs: str) -> bool:
    """An empty field may be filled and a price may be whole; a text is never where a number is."""
    ours, theirs = kind(ours), kind(theirs)
    return "empty" in (ours, theirs) or (ours == "text") == (theirs == "text")


def order(**changes: object) -> Order:
    known = Order(13, 13, TESLA, "BUY", Decimal(100), "MKT", perm_id=1376327563, status="PreSubmitted")
    for name, value in changes.items():
        setattr(known, name, value)
    return known


def fill(one: Order) -> Fill:
    paid = Decimal("196.52")
    return Fill("00025b46.63f8f39c.01.01", AT, one, Decimal(100), paid, Decimal(1), None, Decimal(100), paid)


def the_same(message: Sequence[object], examples: Sequence[Sequence[str]]) -> None:
    """As many fields as each example, of the same kinds."""
    ours = sent(message)
    for theirs in examples:
        assert len(ours) == len(theirs)
        wrong = [
            (place, ours[place], theirs[place]) for place in range(len(ours)) if not agree(ours[place], theirs[place])
        ]
        assert wrong == []


def test_an_open_order_has_the_fields_of_the_recorded_ones(shared_data: Path) -> None:
    stocks = recorded(shared_data, r"5\|\d+\|\d+\|(TSLA|AAPL)\|STK")
    newest = [fields for fields in stocks if len(fields) == 136]
    assert newest
    the_same(messages.open_order(order()), newest)


def test_an_open_order_before_it_trades_says_what_the_recorded_one_says(shared_data: Path) -> None:
    """Field for field; the recording is of a server below 170 and ends before the last five."""
    (theirs,) = [m for m in recorded(shared_data, r"5\|13\|76792991\|TSLA") if "PreSubmitted" in m]
    ours = sent(messages.open_order(order(client_id=100, account="DU1234567")))
    unequal = {place: (ours[place], their) for place, their in enumerate(theirs) if ours[place] != their}
    assert unequal == {}


@pytest.mark.parametrize(("kind_", "places"), [("LMT", (1, 0)), ("STP", (0, 1))])
def test_the_limit_stands_where_the_recorded_one_stands_and_the_stop_price_after_it(
    shared_data: Path, kind_: str, places: tuple[int, int]
) -> None:
    (theirs,) = recorded(shared_data, r"5\|2\|637533641\|ES\|FUT")
    price = theirs.index("5800.0")
    limit, aux = (Decimal(5800) if there else None for there in places)
    ours = sent(messages.open_order(order(kind=kind_, limit=limit, aux=aux)))
    assert ours[price - 1 : price + 2] == [kind_, *("5800" if there else "0.0" for there in places)]


def test_the_last_message_of_a_filled_order_has_its_fee_where_the_recorded_one_has_it(shared_data: Path) -> None:
    (theirs,) = [m for m in recorded(shared_data, r"5\|13\|76792991\|TSLA") if "Filled" in m and "1.0" in m]
    done = order(client_id=100, account="DU1234567", status="Filled", filled=Decimal(100), fees=Decimal(1))
    ours = sent(messages.open_order(done, with_fee=True))
    assert ours.index("Filled") == theirs.index("Filled")
    assert [ours[theirs.index("1.0")], ours[theirs.index("1.0") + 3]] == ["1", "USD"]


def test_an_order_status_has_the_fields_of_the_recorded_ones(shared_data: Path) -> None:
    examples = recorded(shared_data, r"3\|\d+\|(PreSubmitted|Submitted|Filled|Cancelled)\|")
    the_same(messages.order_status(order()), [fields[:12] for fields in examples])
    assert {len(fields) for fields in examples} <= {12, 13}


def test_an_execution_has_the_fields_of_the_recorded_ones(shared_data: Path) -> None:
    examples = recorded(shared_data, r"11\|-1\|\d+\|\d+\|(TSLA|AAPL)")
    the_same(messages.execution(-1, fill(order())), [fields[:31] for fields in examples])


def test_the_time_of_an_execution_names_its_zone_as_the_newest_recording_does(shared_data: Path) -> None:
    theirs = recorded(shared_data, r"11\|-?\d+\|\d+\|637533641")[0]
    ours = sent(messages.execution(-1, fill(order())))
    place = theirs.index("20250708 02:35:00 America/New_York")
    assert ours[place] == "20260105 10:00:00 America/New_York"


def test_a_fee_has_the_fields_of_the_recorded_ones(shared_data: Path) -> None:
    examples = [fields[:8] for fields in recorded(shared_data, r"59\|1\|")]
    ours = sent(messages.commission(fill(order())))
    assert len(ours) == 8
    for theirs in examples:
        assert all(agree(our, their) for our, their in zip(ours, theirs, strict=False))


def test_a_completed_order_has_the_fields_of_the_recorded_ones_and_names_no_order_id(shared_data: Path) -> None:
    stocks = recorded(shared_data, r"101\|265598\|AAPL\|STK")
    ours = sent(messages.completed_order(order(status="Filled", filled=Decimal(100)), "20230306 12:28:30 US/Pacific"))
    # The stock's recording is of a server below 170, which has five fields fewer at the end.
    assert len(ours) == len(stocks[0]) + 5
    assert all(agree(our, their) for our, their in zip(ours, stocks[0], strict=False))
    newer = recorded(shared_data, r"101\|637533641\|ES\|FUT")
    assert {len(fields) for fields in newer} == {len(ours)}


def test_a_position_has_the_fields_of_the_recorded_one(shared_data: Path) -> None:
    the_same(messages.position(TESLA, "DU1234567", Decimal(500), Decimal("196.77")), recorded(shared_data, r"61\|3\|"))


def test_contract_details_have_the_fields_of_the_recorded_ones(shared_data: Path) -> None:
    examples = [fields for fields in recorded(shared_data, r"10\|9001\|TSLA\|STK") if "ISIN" in fields]
    ours = sent(messages.details("9001", TESLA))
    # The recorded ones name an ISIN, which takes two fields more.
    expected = {len(ours) + 2, len(ours) + 3}
    assert {len(fields) for fields in examples} <= expected
    assert all(agree(our, their) for our, their in zip(ours[:27], examples[0][:27], strict=True))


def test_ticks_have_the_fields_of_the_recorded_ones(shared_data: Path) -> None:
    quote = Market(Decimal("185.45"), Decimal("185.50"), Decimal("185.47"), Decimal(100))
    price, _, _, size, generic = messages.ticks("9000", quote, 1)
    the_same(price, recorded(shared_data, r"1\|2\|9000\|1\|185\.50\|"))
    the_same(size, recorded(shared_data, r"2\|2\|9001\|0\|150"))
    the_same(generic, recorded(shared_data, r"45\|2\|"))


def test_delayed_ticks_have_types_of_their_own() -> None:
    quote = Market(Decimal(1), Decimal(2), Decimal(1))
    types = [int(str(message[3])) for message in messages.ticks("1", quote, 3)]
    assert types == [66, 67, 68, 74, 90]


def test_a_side_that_is_missing_is_minus_one() -> None:
    bid, ask, *_ = messages.ticks("1", Market(None, Decimal(2)), 1)
    assert (bid[4], bid[5]) == ("-1.0", "0")
    assert ask[4] == "2"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"53\||55\|1\|9000", (messages.EXECUTION_END, 1, 9000)),
        (r"52\|1\|9000", (messages.CONTRACT_END, 1, 9000)),
        (r"64\|1\|9000", (messages.SUMMARY_END, 1, 9000)),
        (r"63\|1\|9000\|DU", (messages.SUMMARY, 1, 9000, "DU1", "AccountType", "FA", "")),
        (r"74\|1\|9000\|\|?$", (messages.MULTI_END, 1, 9000)),
        (r"73\|1\|9000\|DU1234567\|\|CashBalance", (messages.MULTI_VALUE, 1, 9000, "DU1", "", "X", "1.00", "USD")),
        (r"15\|1\|DU1234567\|$", (messages.MANAGED_ACCOUNTS, 1, "DU1234567")),
        (r"8\|1\|10:20:30", (messages.ACCOUNT_TIME, 1, "10:20")),
        (r"4\|2\|41\|202", (messages.ERROR, 2, 41, 202, "Order Canceled - reason:", "")),
    ],
)
def test_short_messages_have_the_fields_of_the_recorded_ones(
    shared_data: Path, pattern: str, message: Sequence[object]
) -> None:
    """A recording may end with one empty field more: the bar of the next message."""
    for theirs in recorded(shared_data, pattern):
        assert len(theirs) - len(sent(message)) in (0, 1)
        assert all(agree(our, their) for our, their in zip(sent(message), theirs, strict=False))


def test_numbers_have_neither_exponents_nor_needless_zeros() -> None:
    assert [messages.plain(Decimal(text)) for text in ("1E+3", "1.50", "0.0001", "100", "-1.0")] == [
        "1000",
        "1.5",
        "0.0001",
        "100",
        "-1",
    ]


def test_the_algorithm_of_an_order_adds_its_parameters_to_the_message() -> None:
    with_algo = order(algo="Adaptive", algo_params=(("adaptivePriority", "Normal"),))
    assert len(sent(messages.open_order(with_algo))) == 136 + 3
