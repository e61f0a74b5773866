"""A type as a table: every name, type and bound is written, and any drift between the two is seen."""

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, create_model

from trading_assets.briefs.roles import BreadthInputs, NewsInputs, Opinion, TechnicalInputs
from trading_assets.reasoning.output_contract import disagreements, has_table, rows_of, schema_of, table_of


class Inner(BaseModel):
    """Nested."""

    share: Annotated[float, Field(gt=0, lt=1)]


class Wide(BaseModel):
    """Each kind of field that an answer may have."""

    side: Literal["buy", "sell"]
    always: Literal["yes"] = "yes"
    count: Annotated[int, Field(ge=1)]
    below: Annotated[float, Field(le=0.5)]
    step: Annotated[int, Field(multiple_of=5)]
    sure: bool
    day: date
    moment: datetime
    words: Annotated[str, Field(min_length=3)]
    code: Annotated[str, Field(pattern="^a|b$", max_length=9)]
    maybe: Annotated[str, Field(max_length=5)] | None
    inner: Inner
    many: Annotated[tuple[Inner, ...], Field(min_length=2, max_length=2)]
    pair: tuple[int, str]
    shares: dict[str, Inner]
    late: int = 3
    amount: Decimal | None = None


def test_every_kind_of_field_is_put_into_words() -> None:
    rows = rows_of(Wide)
    assert rows["side"] == ("one of", "`buy`, `sell`")
    assert rows["always"] == ("one of", "`yes`, may be left out")
    assert rows["count"] == ("integer", "at least 1")
    assert rows["below"] == ("number", "at most 0.5")
    assert rows["step"] == ("integer", "multipleOf 5")
    assert rows["sure"] == ("true or false", "")
    assert (rows["day"], rows["moment"]) == (("date", ""), ("instant", ""))
    assert rows["words"] == ("text", "at least 3 characters")
    assert rows["code"] == ("text", "at most 9 characters, matching `^a|b$`")
    assert rows["maybe"] == ("text or null", "at most 5 characters")
    assert (rows["inner"], rows["inner.share"]) == (("object", ""), ("number", "above 0, below 1"))
    assert (rows["many"], rows["many[].share"]) == (("list of object", "2 items"), ("number", "above 0, below 1"))
    assert "prefixItems" in rows["pair"][1]
    assert rows["shares{}.share"] == ("number", "above 0, below 1")
    assert rows["late"] == ("integer", "may be left out")
    assert rows["amount"][0] == "number or text or null"


@pytest.mark.parametrize("model", [Wide, Opinion, NewsInputs, BreadthInputs, TechnicalInputs])
def test_the_table_of_a_type_agrees_with_it(model: type[BaseModel]) -> None:
    assert disagreements(f"Words before.\n\n{table_of(model)}\n\nWords after.", model) == ()
    assert has_table(table_of(model))


@pytest.mark.parametrize(
    ("bounds", "seen"),
    [
        (Field(ge=-1, le=2), "-1 to 1"),
        (Field(ge=-1), "at least -1"),
        (Field(gt=-1, lt=1), "above -1, below 1"),
        (Field(ge=-1, le=1, multiple_of=0.5), "multipleOf 0.5"),
    ],
)
def test_a_bound_that_moved_is_seen(bounds: Any, seen: str) -> None:
    before = create_model("One", signal=(Annotated[float, Field(ge=-1, le=1)], ...))
    after = create_model("One", signal=(Annotated[float, bounds], ...))
    (found,) = disagreements(table_of(before), after)
    assert "signal" in found
    assert seen in found


def test_a_field_too_many_too_few_or_of_another_type_is_seen() -> None:
    one = create_model("One", a=(int, ...), b=(str, ...))
    other = create_model("One", a=(float, ...), c=(str, ...))
    assert disagreements(table_of(one), other) == (
        "the field c is missing",
        "the type has no field b",
        "a is said to be (integer, ) and is (number, )",
    )


def test_a_field_that_stands_twice_is_seen() -> None:
    one = create_model("One", a=(int, ...))
    assert disagreements(f"{table_of(one)}\n| `a` | integer |  |", one) == ("the field a stands twice",)


def test_a_section_without_a_table_says_what_is_missing() -> None:
    (found,) = disagreements("Answer with an opinion.\n\n| key | value |\n| --- | --- |\n| a | b |", Opinion)
    assert "neither a table" in found


@pytest.mark.parametrize(
    ("block", "said"), [("```json\n{\n```\n", "not JSON"), ("```json\n{}\n```\n```json\n{}\n```\n", "more than one")]
)
def test_a_json_schema_that_is_none_is_refused(block: str, said: str) -> None:
    (found,) = disagreements(block, Opinion)
    assert said in found


def test_titles_and_descriptions_are_free_but_a_field_named_title_is_not() -> None:
    one = create_model("One", title=(int, Field(description="words")))
    schema = one.model_json_schema()
    schema["description"] = "other words"
    schema["properties"]["title"]["description"] = "others too"
    assert disagreements(f"```json\n{json.dumps(schema)}\n```\n", one) == ()
    del schema["properties"]["title"]
    assert disagreements(f"```json\n{json.dumps(schema)}\n```\n", one) != ()


def test_a_type_that_contains_itself_is_told_to_a_depth() -> None:
    class Tree(BaseModel):
        """Recursive."""

        leaf: int
        more: "list[Tree]"

    rows = rows_of(Tree)
    assert rows["more[].leaf"] == ("integer", "")
    assert len(rows) < 40


def test_the_schema_is_the_same_text_every_time() -> None:
    assert schema_of(Opinion) == schema_of(Opinion)
    assert '"maximum":1' in schema_of(Opinion)
