"""The marked fields of a model: every leaf with its kind, and the model built anew with other leaves.

Fails closed: a field whose name says symbol, price or text but that carries no mark, a type that cannot be looked into, and a model
that takes unknown fields are refused, so that nobody hides half of a question by forgetting a mark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from itertools import repeat
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from trading_assets.core.errors import ConfigurationError
from trading_assets.reasoning.marks import Mark

Kind = Literal["symbol", "level", "untrusted", "day", "instant", "words", "other"]
Scope = tuple[str, ...]
Leaf = tuple[Kind, Any, Scope, str]
Visit = Callable[[Kind, Any, Scope, str], Any]
M = TypeVar("M", bound=BaseModel)

_SYMBOL_WORDS = frozenset(
    {
        "symbol",
        "symbols",
        "ticker",
        "tickers",
        "company",
        "companies",
        "issuer",
        "instrument",
        "instruments",
        "isin",
        "cik",
    }
)
_LEVEL_WORDS = frozenset({"price", "prices", "close", "closes", "vwap", "strike", "bid", "ask", "usd"})
_LEVEL_NAMES = frozenset(
    {"open", "high", "low", "last", "entry", "stop", "target", "level", "levels", "opens", "highs", "lows"}
)
_TEXT_WORDS = frozenset({"headline", "headlines", "summary", "title", "description", "filing", "article"})
_TEXT_NAMES = frozenset({"text", "texts", "body", "news"})
_MARKED: Mapping[Mark, Kind] = {Mark.SYMBOL: "symbol", Mark.LEVEL: "level", Mark.UNTRUSTED: "untrusted"}
# A datetime is a date as well, so it stands before it.
_KINDS: Mapping[type[Any], Kind] = {
    str: "words",
    datetime: "instant",
    date: "day",
    **dict.fromkeys((float, int, bool, Decimal, time, timedelta, NoneType), "other"),
}
_CONTAINERS: tuple[type[Any], ...] = (tuple, list, set, frozenset, Sequence, Mapping)


def rebuilt(model: M, visit: Visit) -> M:
    """The same model with every leaf replaced by what `visit` returns for it, validated again.

    `visit` is given the leaf's kind, its value, the symbols of the nearest model around it that names any (as they stand in
    `model`), and its path.
    """
    return _Walk(visit).model(model, (), type(model).__name__)


def leaves(model: BaseModel) -> Sequence[Leaf]:
    """Every leaf in the order of the fields."""
    found: list[Leaf] = []

    def note(kind: Kind, value: Any, scope: Scope, path: str) -> Any:
        found.append((kind, value, scope, path))
        return value

    _Walk(note, build=False).model(model, (), type(model).__name__)
    return found


@lru_cache(maxsize=256)
def check_type(model: type[BaseModel]) -> None:
    """Refuses a model that could carry a symbol, a level or foreign text without its mark."""
    _check_model(model, set())


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is said about a type again and again: itself without its marks, its mark, and its parts."""

    bare: Any
    mark: Mark | None
    arms: tuple[Any, ...]
    union: bool

    @property
    def fixed(self) -> bool:
        """A tuple with a type for each place."""
        return self.bare is tuple and not (len(self.arms) == 2 and self.arms[1] is Ellipsis)


def _shape(annotation: Any) -> _Shape:
    # Types with pydantic's own words on them cannot be hashed; the entry keeps its type, so that its identity stays its own.
    known = _SHAPES.get(id(annotation))
    if known is None:
        known = _SHAPES[id(annotation)] = (annotation, _shaped(annotation))
    return known[1]


def _shaped(annotation: Any) -> _Shape:
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        shape = _shape(inner)
        return replace(shape, mark=shape.mark or _mark(metadata))
    origin = get_origin(annotation)
    return _Shape(origin or annotation, None, get_args(annotation), origin in (Union, UnionType))


_SHAPES: dict[int, tuple[Any, _Shape]] = {}


@lru_cache(maxsize=256)
def _fields_of(model: type[BaseModel]) -> Sequence[tuple[str, Any, Mark | None, bool]]:
    """Name, type, mark of each field, and whether it can hold a symbol itself."""
    check_type(model)
    found = ((name, field.annotation, _mark(field.metadata)) for name, field in model.model_fields.items())
    return [(*each, _marks(each[1], each[2], Mark.SYMBOL)) for each in found]


class _Walk:
    """Visits the leaves of a model; with `build` makes the model of what the visits return."""

    def __init__(self, visit: Visit, *, build: bool = True) -> None:
        self._visit = visit
        self._build = build

    def model(self, model: M, scope: Scope, path: str) -> M:
        """The model, or one made of the visits."""
        fields = _fields_of(type(model))
        own = tuple(dict.fromkeys(self._symbols(model, fields)))
        inner = own or scope
        values = {
            name: self.value(getattr(model, name), annotation, mark, inner, f"{path}.{name}")
            for name, annotation, mark, _ in fields
        }
        return _validated(type(model), values) if self._build else model

    def value(self, value: Any, annotation: Any, mark: Mark | None, scope: Scope, path: str) -> Any:
        """A value of a type and, from outside, a mark."""
        shape = _shape(annotation)
        if shape.union:
            arm = _arm(shape, value, path)
            shape = replace(arm, mark=arm.mark or shape.mark)
        mark = shape.mark or mark
        if type(value) in _KINDS:
            return self._visit(_kind(value, mark), value, scope, path)
        if isinstance(value, BaseModel):
            return self.model(value, scope, path)
        if isinstance(value, Mapping):
            return self._mapping(value, shape, mark, scope, path)
        if isinstance(value, tuple | list | set | frozenset):
            return self._sequence(value, shape, mark, scope, path)
        return self._visit(_kind(value, mark), value, scope, path)

    def _mapping(self, value: Mapping[Any, Any], shape: _Shape, mark: Mark | None, scope: Scope, path: str) -> Any:
        keys, inner = shape.arms
        made = {}
        for place, (key, one) in enumerate(value.items()):
            at = f"{path}[{place}]"
            # What stands under a symbol is that symbol's.
            own = (key,) if _shape(keys).mark is Mark.SYMBOL else scope
            made[self.value(key, keys, None, scope, at)] = self.value(one, inner, mark, own, at)
        return made

    def _sequence(self, value: Any, shape: _Shape, mark: Mark | None, scope: Scope, path: str) -> Any:
        kinds = shape.arms if shape.fixed else repeat(shape.arms[0])
        return type(value)(
            [
                self.value(one, kind, mark, scope, f"{path}[{place}]")
                for place, (one, kind) in enumerate(zip(value, kinds, strict=False))
            ]
        )

    @staticmethod
    def _symbols(model: BaseModel, fields: Sequence[tuple[str, Any, Mark | None, bool]]) -> Iterator[str]:
        """The symbols in fields of this model itself; those of models inside it are theirs."""
        for name, annotation, mark, possible in fields:
            value = getattr(model, name)
            if possible and not _holds_models(value):
                yield from _symbols_in(value, annotation, mark)


def _symbols_in(value: Any, annotation: Any, mark: Mark | None) -> Sequence[str]:
    found: list[str] = []

    def note(kind: Kind, leaf: Any, _scope: Scope, _path: str) -> Any:
        if kind == "symbol":
            found.append(leaf)
        return leaf

    _Walk(note, build=False).value(value, annotation, mark, (), "")
    return found


def _validated(model: type[M], values: Mapping[str, Any]) -> M:
    try:
        return model.model_validate(values, by_name=True, by_alias=True)
    except ValidationError as invalid:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in invalid.errors(include_input=False))
        raise ConfigurationError(
            f"{model.__name__} does not hold its own masked values", value=problems, hint="widen the field's type"
        ) from None


def _holds_models(value: Any) -> bool:
    if isinstance(value, BaseModel):
        return True
    if isinstance(value, Mapping):
        return any(_holds_models(inner) for inner in value.values())
    return isinstance(value, tuple | list | set | frozenset) and any(_holds_models(inner) for inner in value)


def _kind(value: Any, mark: Mark | None) -> Kind:
    if value is None or isinstance(value, Enum):
        return "other"
    if mark is not None:
        return _MARKED[mark]
    known = _KINDS.get(type(value))
    if known is not None:
        return known
    return next((kind for cls, kind in _KINDS.items() if isinstance(value, cls)), "other")


def _mark(metadata: Sequence[Any]) -> Mark | None:
    return next((one for one in metadata if isinstance(one, Mark)), None)


def _arm(shape: _Shape, value: Any, path: str) -> _Shape:
    """The part of a union that the value belongs to; a value that two marks could claim is refused."""
    fitting = [_shape(arm) for arm in shape.arms if _fits(arm, value)]
    fitting = [_arm(arm, value, path) if arm.union else arm for arm in fitting]
    if len({arm.mark for arm in fitting}) != 1:
        raise ConfigurationError(f"{path} may be marked in two ways or none", value=shape.arms)
    return fitting[0]


def _fits(annotation: Any, value: Any) -> bool:
    if get_origin(annotation) is Annotated:
        return _fits(get_args(annotation)[0], value)
    if get_origin(annotation) in (Union, UnionType):
        return any(_fits(arm, value) for arm in get_args(annotation))
    if get_origin(annotation) is Literal:
        return value in get_args(annotation)
    if annotation is None:
        return value is None
    wanted = get_origin(annotation) or annotation
    # A datetime is a date and a bool is an int, but neither belongs to the other's field.
    if wanted in (date, int, float):
        return type(value) is wanted
    return isinstance(wanted, type) and isinstance(value, wanted)


def _check_model(model: type[BaseModel], seen: set[type[BaseModel]]) -> None:
    if model in seen:
        return
    seen.add(model)
    if model.model_config.get("extra") == "allow":
        raise ConfigurationError(f"{model.__name__} takes unknown fields, so it cannot be masked", hint="forbid them")
    for name, field in model.model_fields.items():
        _check(field.annotation, _mark(field.metadata), name, f"{model.__name__}.{name}", seen)


def _check(annotation: Any, mark: Mark | None, name: str, path: str, seen: set[type[BaseModel]]) -> None:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        _check(args[0], _mark(args[1:]) or mark, name, path, seen)
    elif origin in (Union, UnionType) or (isinstance(origin, type) and issubclass(origin, _CONTAINERS)):
        # Two levels may be rebased to one, which a set or the keys of a mapping would lose.
        losing = args if origin in (set, frozenset) else args[:1] if origin in (dict, Mapping) else ()
        if any(_marks(arm, mark, Mark.LEVEL) for arm in losing):
            raise ConfigurationError(f"{path} would lose levels that are rebased to one", hint="use a tuple")
        for arm in args:
            if arm is not Ellipsis:
                _check(arm, mark, name, path, seen)
    elif origin is Literal or annotation is None:
        return
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        _check_model(annotation, seen)
    else:
        _check_leaf(annotation, mark, name, path)


def _marks(annotation: Any, mark: Mark | None, wanted: Mark) -> bool:
    """Whether a value of this type, marked so from outside, can hold a leaf with the wanted mark that is no model's."""
    shape = _shape(annotation)
    mark = shape.mark or mark
    if not shape.arms or shape.bare is Literal:
        return mark is wanted
    return any(_marks(arm, mark, wanted) for arm in shape.arms if arm is not Ellipsis)


def _check_leaf(annotation: Any, mark: Mark | None, name: str, path: str) -> None:
    if not isinstance(annotation, type) or not issubclass(annotation, (*_KINDS, Enum)):
        raise ConfigurationError(f"{path} has a type that masking cannot look into", value=str(annotation))
    if issubclass(annotation, Enum) or annotation is NoneType:
        return
    wanted: tuple[type, ...] = (float, Decimal) if mark is Mark.LEVEL else (str,)
    if mark is not None and not issubclass(annotation, wanted):
        allowed = " or ".join(one.__name__ for one in wanted)
        raise ConfigurationError(f"{path} is marked {mark.value}, which needs {allowed}", value=annotation.__name__)
    missing = _forgotten(annotation, name) if mark is None else None
    if missing is not None:
        raise ConfigurationError(
            f"{path} looks like a {missing.value} and carries no mark",
            value=annotation.__name__,
            hint=f"write Annotated[{annotation.__name__}, Mark.{missing.name}], or another name",
        )


def _forgotten(annotation: type, name: str) -> Mark | None:
    """The mark that a field of this name and type should have had."""
    words = set(re.split(r"_+", name.lower()))
    if issubclass(annotation, str):
        if words & _SYMBOL_WORDS:
            return Mark.SYMBOL
        return Mark.UNTRUSTED if words & _TEXT_WORDS or name.lower() in _TEXT_NAMES else None
    numeric = issubclass(annotation, int | float | Decimal) and annotation is not bool
    return Mark.LEVEL if numeric and (words & _LEVEL_WORDS or name.lower() in _LEVEL_NAMES) else None
