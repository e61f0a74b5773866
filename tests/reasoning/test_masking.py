"""Masking by example: what a model sees of a question, what comes back, and what is refused before anybody sees it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from trading_assets.core.errors import ConfigurationError, PermanentFailure
from trading_assets.reasoning.marks import Mark
from trading_assets.reasoning.mask_days import ANCHOR
from trading_assets.reasoning.masking import AnswerNotOfTheQuestion, mask
from trading_assets.reasoning.model import In, Out

Symbol = Annotated[str, Mark.SYMBOL]
Level = Annotated[float, Mark.LEVEL]
Text = Annotated[str, Mark.UNTRUSTED]
TUESDAY = date(2024, 3, 5)


class Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Position(Frozen):
    symbol: Symbol
    entry: Level
    closes: tuple[Level, ...] = ()


class Book(Frozen):
    day: date
    positions: tuple[Position, ...]
    cash_share: float = 0.25


class Plan(Frozen):
    symbol: Symbol
    stop: Level
    until: date | None = None
    because: str = ""


class Thought(Frozen):
    because: str
    bound: Level | None = None
    seen: date | None = None
    at: datetime | None = None


def book(*positions: Position, day: date = TUESDAY) -> Book:
    return Book(day=day, positions=positions)


TWO = book(
    Position(symbol="AAPL", entry=170.0, closes=(168.3, 171.7)), Position(symbol="MSFT", entry=400.0, closes=(404.0,))
)


def made(name: str, **fields: Any) -> type[BaseModel]:
    """A model of these required fields."""
    wanted: dict[str, Any] = {field: (annotation, ...) for field, annotation in fields.items()}
    return create_model(name, __config__=ConfigDict(arbitrary_types_allowed=True), **wanted)


def rendered(model: BaseModel) -> str:
    return model.model_dump_json()


def test_symbols_become_assets_in_order_of_appearance() -> None:
    masked = mask(book(*TWO.positions, Position(symbol="AAPL", entry=1.0))).inputs
    assert [one.symbol for one in masked.positions] == ["ASSET_A", "ASSET_B", "ASSET_A"]


def test_more_than_twenty_six_assets_have_names() -> None:
    many = book(*(Position(symbol=f"SYM{number}", entry=10.0) for number in range(30)))
    masked = mask(many)
    names = [one.symbol for one in masked.inputs.positions]
    assert names[25:28] == ["ASSET_Z", "ASSET_AA", "ASSET_AB"]
    assert masked.unmask(masked.inputs) == many


def test_each_assets_first_level_is_one_hundred_and_ratios_stay() -> None:
    first, second = mask(TWO).inputs.positions
    assert (first.entry, first.closes) == (100.0, (99.0, 101.0))
    assert (second.entry, second.closes) == (100.0, (101.0,))


def test_the_ratio_of_two_assets_prices_does_not_show() -> None:
    cheap, dear = (
        Position(symbol="LOW", entry=2.0, closes=(2.02,)),
        Position(symbol="HIGH", entry=900.0, closes=(909.0,)),
    )
    assert [one.closes for one in mask(book(cheap, dear)).inputs.positions] == [(101.0,), (101.0,)]


def test_the_newest_day_is_the_same_day_in_every_question() -> None:
    days = [mask(book(day=day)).inputs.day for day in (TUESDAY, date(1999, 7, 1), date(2028, 12, 29), date(2024, 3, 9))]
    assert set(days) == {ANCHOR}


def test_an_unmarked_ratio_stays_as_it_is() -> None:
    assert mask(TWO).inputs.cash_share == 0.25


def test_the_question_comes_back_exactly() -> None:
    masked = mask(TWO)
    assert masked.unmask(masked.inputs) == TWO
    assert type(masked.inputs) is Book


def test_masking_is_a_function_of_the_question() -> None:
    assert mask(TWO).inputs == mask(TWO).inputs


def test_neither_representation_nor_comparison_shows_the_key() -> None:
    masked = mask(TWO)
    assert "AAPL" not in repr(masked)
    assert "170" not in repr(masked)
    assert "2024" not in repr(masked)


# Answers


def test_an_answer_is_put_back_into_real_names_and_levels() -> None:
    plan = mask(TWO).unmask(Plan(symbol="ASSET_B", stop=95.0, until=ANCHOR + timedelta(days=3)))
    assert (plan.symbol, plan.stop, plan.until) == ("MSFT", 380.0, date(2024, 3, 8))


def test_a_level_that_stood_in_the_question_comes_back_to_the_bit() -> None:
    odd = book(Position(symbol="AAPL", entry=170.123456789, closes=(171.987654321,)))
    masked = mask(odd)
    shown = masked.inputs.positions[0].closes[0]
    assert shown == 101.1
    assert masked.unmask(Plan(symbol="ASSET_A", stop=shown)).stop == 171.987654321


def test_days_between_and_beyond_are_counted_in_sessions() -> None:
    masked = mask(book(day=date(2024, 3, 28)))
    after = masked.unmask(Thought(because="x", seen=ANCHOR + timedelta(days=1)))
    before = masked.unmask(Thought(because="x", seen=ANCHOR - timedelta(days=4)))
    assert (after.seen, before.seen) == (date(2024, 4, 1), date(2024, 3, 22)), "Good Friday is no session"


def test_our_words_in_a_sentence_become_what_they_stood_for() -> None:
    said = "ASSET_B fell from 101.0 below 100.0 on 2100-01-01, ASSET_A's 99.0 holds"
    back = mask(book(TWO.positions[0])).unmask(Thought(because=said.replace("ASSET_B", "ASSET_A"), bound=99.0))
    assert back.because == "AAPL fell from 171.70 below 170.00 on 2024-03-05, AAPL's 168.30 holds"


@pytest.mark.parametrize("words", ["rises 101.0 %", "rises 101.0%", "1101.0", "101.05", "-101.0", "101", "5.101.0"])
def test_a_number_that_is_not_exactly_a_level_stays_as_it_was_written(words: str) -> None:
    back = mask(book(TWO.positions[0])).unmask(Thought(because=words))
    assert back.because == words


def test_a_number_that_two_assets_could_mean_stays_as_it_was_written() -> None:
    assert mask(TWO).unmask(Plan(symbol="ASSET_A", stop=99.0, because="below 101.0")).because == "below 101.0"


def test_a_number_that_is_also_a_ratio_of_the_question_stays_as_it_was_written() -> None:
    question = Book(day=TUESDAY, positions=(TWO.positions[0],), cash_share=99.0)
    assert mask(question).unmask(Thought(because="at 99.0")).because == "at 99.0"


@pytest.mark.parametrize("symbol", ["AAPL", "ASSET_C", "asset_a", "ASSET_A ", ""])
def test_an_answer_about_an_asset_that_was_not_asked_about_is_refused(symbol: str) -> None:
    masked, plan = mask(TWO), Plan(symbol=symbol, stop=95.0)
    complaint = masked.complaint(plan)
    assert complaint is not None
    assert "was not in the question" in complaint
    assert "MSFT" not in complaint, "a model may be shown the complaint"
    with pytest.raises(AnswerNotOfTheQuestion):
        masked.unmask(plan)


def test_a_level_that_belongs_to_none_of_several_assets_is_refused() -> None:
    with pytest.raises(AnswerNotOfTheQuestion, match="level of no asset"):
        mask(TWO).unmask(Thought(because="x", bound=95.0))


def test_a_level_without_an_asset_is_that_of_the_only_one() -> None:
    assert mask(book(TWO.positions[0])).unmask(Thought(because="x", bound=110.0)).bound == 187.0


def test_an_answer_of_the_question_has_no_complaint() -> None:
    assert mask(TWO).complaint(Plan(symbol="ASSET_A", stop=95.0)) is None


def test_an_answer_type_that_forgot_a_mark_is_refused() -> None:
    class Careless(Frozen):
        stop: float

    with pytest.raises(ConfigurationError, match=r"Careless.stop looks like a level and carries no mark"):
        mask(TWO).unmask(Careless(stop=95.0))


# Shapes


class Side(Enum):
    LONG = "long"


class Everything(Frozen):
    pair: Annotated[tuple[str, str], Mark.SYMBOL]
    maybe: Symbol | None
    both: tuple[Annotated[str, Mark.SYMBOL], Level]
    by_symbol: Mapping[Annotated[str, Mark.SYMBOL], Level]
    days: frozenset[date]
    nested: list[tuple[date, Annotated[Decimal, Mark.LEVEL] | None]]
    at: datetime | date
    naive: datetime
    side: Side
    flag: bool
    count: int
    wait: timedelta
    hour: time
    word: Literal["up", "down"]
    notes: list[Annotated[str, Mark.UNTRUSTED]] = Field(default_factory=list)


EVERYTHING = Everything(
    pair=("AAPL", "MSFT"),
    maybe=None,
    both=("IBM", 130.5),
    by_symbol={"AAPL": 170.0, "IBM": 131.0},
    days=frozenset({TUESDAY, date(2024, 3, 4), date(2024, 3, 2)}),
    nested=[(TUESDAY, Decimal("187.4300")), (date(2023, 3, 3), None)],
    at=datetime(2024, 3, 5, 14, 31, 12, 345678, tzinfo=UTC),
    naive=datetime(2024, 3, 4, 9, 30, 5),  # noqa: DTZ001
    side=Side.LONG,
    flag=True,
    count=7,
    wait=timedelta(days=3),
    hour=time(9, 30),
    word="up",
    notes=["IBM up 3%", "IBM up 4%"],
)


def test_every_shape_of_field_is_masked_and_comes_back() -> None:
    masked = mask(EVERYTHING)
    text = rendered(masked.inputs)
    for original in ("AAPL", "MSFT", "IBM", "2024", "2023", "187.43", "130.5", "170", ":12", "345678"):
        assert original not in text
    assert masked.unmask(masked.inputs) == EVERYTHING
    seen = masked.inputs
    assert (seen.side, seen.flag, seen.count, seen.wait, seen.hour, seen.word) == (
        Side.LONG, True, 7, timedelta(days=3), time(9, 30), "up"
    )  # fmt: skip


def test_prices_under_their_symbols_are_rebased_each_by_its_own() -> None:
    assert set(mask(EVERYTHING).inputs.by_symbol.values()) == {100.0}


def test_an_instant_keeps_new_yorks_time_of_day_without_summer_time() -> None:
    class Seen(Frozen):
        at: datetime

    winter, summer = datetime(2024, 1, 9, 14, 30, tzinfo=UTC), datetime(2024, 7, 9, 13, 30, tzinfo=UTC)
    shown = {mask(Seen(at=moment)).inputs.at for moment in (winter, summer)}
    assert shown == {datetime(2100, 1, 1, 9, 30, tzinfo=UTC)}


def test_instants_within_a_minute_stay_apart_and_in_order() -> None:
    class Seen(Frozen):
        at: tuple[datetime, ...]

    start = datetime(2024, 1, 9, 14, 30, 7, tzinfo=UTC)
    question = Seen(at=tuple(start + timedelta(seconds=7 * step) for step in range(20)))
    masked = mask(question)
    shown = masked.inputs.at
    assert list(shown) == sorted(set(shown))
    assert masked.unmask(masked.inputs) == question


def test_an_instant_of_an_answer_is_counted_from_the_question() -> None:
    class Seen(Frozen):
        at: datetime

    masked = mask(Seen(at=datetime(2024, 7, 9, 13, 30, tzinfo=UTC)))
    later = datetime(2100, 1, 2, 10, 0, tzinfo=UTC)
    assert masked.unmask(Thought(because="x", at=later)).at == datetime(2024, 7, 10, 14, 0, tzinfo=UTC)


# Refusals


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (str, "symbol"), (str, "ticker"), (str | None, "base_symbol"), (tuple[str, ...], "symbols"),
        (str, "company_name"), (float, "price"), (float, "close"), (tuple[float, ...], "closes"),
        (Decimal, "entry_price"), (float | None, "stop"), (int, "strike"), (float, "target"),
        (float, "notional_usd"), (list[float], "high"), (dict[str, float], "vwap_20"), (str, "headline"),
        (str, "text"), (str | None, "summary"), (list[str], "descriptions_or_title"), (str, "body"),
    ],
)  # fmt: skip
def test_a_field_that_looks_like_something_to_hide_needs_its_mark(annotation: Any, name: str) -> None:
    careless = made("Careless", **{name: annotation})
    with pytest.raises(ConfigurationError, match=rf"Careless.{name} looks like a \w+ and carries no mark"):
        mask(careless.model_construct(**{name: None}))


@pytest.mark.parametrize(
    ("annotation", "name"),
    [(Literal["up", "down"], "symbol"), (bool, "close"), (float, "opening_share"), (int, "open_positions"), (str, "id")],
)  # fmt: skip
def test_other_fields_need_none(annotation: Any, name: str) -> None:
    plain = made("Plain", **{name: annotation})
    value = {"symbol": "up", "close": True, "id": "p1"}.get(name, 1)
    assert mask(plain.model_validate({name: value})).inputs == plain.model_validate({name: value})


def test_a_mark_forgotten_deep_inside_is_found_before_any_value_is_read() -> None:
    class Inner(Frozen):
        closes: tuple[float, ...]

    class Outer(Frozen):
        inner: dict[str, list[Inner | None]]

    with pytest.raises(ConfigurationError, match=r"Inner.closes looks like a level"):
        mask(Outer(inner={}))


@pytest.mark.parametrize("annotation", [Any, object, bytes, dict[str, Any], list[object], complex])
def test_a_type_that_cannot_be_looked_into_is_refused(annotation: Any) -> None:
    blind = made("Blind", stuff=annotation)
    with pytest.raises(ConfigurationError, match="cannot look into"):
        mask(blind.model_construct(stuff=None))


def test_a_model_that_takes_unknown_fields_is_refused() -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

    with pytest.raises(ConfigurationError, match="takes unknown fields"):
        mask(Open.model_validate({"symbol": "AAPL"}))


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[float, Mark.SYMBOL], Annotated[str, Mark.LEVEL], Annotated[int, Mark.LEVEL],
        Annotated[date, Mark.UNTRUSTED], tuple[Annotated[bool, Mark.LEVEL], ...],
    ],
)  # fmt: skip
def test_a_mark_on_the_wrong_type_is_refused(annotation: Any) -> None:
    wrong = made("Wrong", it=annotation)
    with pytest.raises(ConfigurationError, match=r"Wrong.it is marked .* which needs"):
        mask(wrong.model_construct(it=None))


def test_a_value_that_two_marks_could_claim_is_refused() -> None:
    class Torn(Frozen):
        it: Annotated[str, Mark.SYMBOL] | Annotated[str, Mark.UNTRUSTED]

    with pytest.raises(ConfigurationError, match="marked in two ways"):
        mask(Torn(it="AAPL"))


class Noted(Frozen):
    symbol: Symbol
    kind: str


@pytest.mark.parametrize(
    "words", ["AAPL", "about AAPL.", "2024-03-05", "as of 2024-03", "ASSET_B", "[YEAR_A]", "see $AAPL", "Apple"]
)
def test_what_masking_hides_may_not_stand_in_an_unmarked_field(words: str) -> None:
    with pytest.raises(PermanentFailure, match=r"Noted.kind is not marked"):
        mask(Noted(symbol="AAPL", kind=words), aliases={"AAPL": ["Apple"]})


@pytest.mark.parametrize("words", ["open", "indicators", "sma_200", "AAPLX", "range"])
def test_the_desks_own_words_may_resemble_a_ticker(words: str) -> None:
    question = Noted(symbol="OPEN", kind=words)
    masked = mask(question, aliases={"AAPL": ["Apple"], "GPS": ["Gap", "Range"]})
    assert masked.inputs.kind == words
    assert masked.unmask(masked.inputs) == question


@pytest.mark.parametrize(
    "annotation",
    [
        frozenset[Level], Annotated[set[float], Mark.LEVEL], dict[Level, str], set[tuple[str, Level]], frozenset[Level | None],
    ],
)  # fmt: skip
def test_levels_that_could_fall_together_in_a_set_are_refused(annotation: Any) -> None:
    with pytest.raises(ConfigurationError, match="would lose levels"):
        mask(made("Losing", values=annotation).model_construct(values=None))


def test_two_levels_that_look_alike_come_back_as_two() -> None:
    close = book(Position(symbol="AAPL", entry=100.0, closes=(100.01, 100.02)))
    masked = mask(close)
    assert masked.inputs.positions[0].closes == (100.0, 100.0)
    assert masked.unmask(masked.inputs) == close


@pytest.mark.parametrize("level", [float("nan"), float("inf"), float("-inf")])
def test_a_level_that_is_no_number_is_refused(level: float) -> None:
    with pytest.raises(PermanentFailure, match="must be finite"):
        mask(book(Position(symbol="AAPL", entry=level)))


def test_levels_too_far_apart_are_refused() -> None:
    with pytest.raises(PermanentFailure, match="too far apart"):
        mask(book(Position(symbol="AAPL", entry=1e300, closes=(1e-300,))))


def test_days_too_far_apart_are_refused() -> None:
    class Days(Frozen):
        days: tuple[date, ...]

    with pytest.raises(PermanentFailure, match="too far apart"):
        mask(Days(days=(date(1800, 1, 1), TUESDAY)))


def test_a_type_that_cannot_hold_a_masked_value_is_refused_without_telling_the_value() -> None:
    class Narrow(Frozen):
        symbol: Annotated[str, Mark.SYMBOL, Field(pattern=r"^[A-Z]{1,4}$")]

    with pytest.raises(ConfigurationError, match=r"Narrow does not hold its own masked values.*symbol") as refused:
        mask(Narrow(symbol="AAPL"))
    assert "AAPL" not in str(refused.value)


def test_masked_inputs_are_validated_again() -> None:
    class Strict(Frozen):
        day: date

        @field_validator("day")
        @classmethod
        def _before_2050(cls, day: date) -> date:
            if day.year >= 2050:
                raise ValueError("too late")
            return day

    with pytest.raises(ConfigurationError, match="too late"):
        mask(Strict(day=TUESDAY))


def test_a_validation_alias_is_no_obstacle() -> None:
    class Aliased(BaseModel):
        day: date = Field(alias="Day")
        who: Symbol = Field(alias="Symbol")

    question = Aliased.model_validate({"Day": TUESDAY, "Symbol": "AAPL"})
    masked = mask(question)
    assert (masked.inputs.day, masked.inputs.who) == (ANCHOR, "ASSET_A")
    assert masked.unmask(masked.inputs) == question


def test_types_pass_through() -> None:
    def same(inputs: In, output: Out) -> tuple[In, Out]:
        return mask(inputs).inputs, mask(inputs).unmask(output)

    question, answer = same(TWO, Plan(symbol="ASSET_A", stop=100.0))
    assert (type(question), answer.stop) == (Book, 170.0)
