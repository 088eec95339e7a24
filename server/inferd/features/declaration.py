"""How features are declared: a YAML file of entities and views, validated when it is read.

A view is stored, if somebody writes its rows; aggregated, if they come from events; or computed
from other features when it is asked for. All of its features are of one kind.

What is wrong is told all at once, each with the path of its key, in which the members of lists go
by their names: `views.profile.features.age.type`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from inferd.config.section import Positive, Section
from inferd.features.contradictions import contradictions
from inferd.features.derivation import (
    Aggregation,
    Event,
    LookedUp,
    Name,
    Request,
    Table,
    Transform,
    Typed,
    references,
)
from inferd.features.kinds import Kind
from inferd.features.suggestions import nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_HERE = Path()

Kinds = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda given: (given,) if isinstance(given, str) else given),
    Field(min_length=1, max_length=32),
]
"""One name, or several."""

Seconds = Annotated[Positive, Field(allow_inf_nan=False, le=1e9)]


class DeclarationError(ValueError):
    """Features are not declared as they can be. Each problem names a key."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Entity(Section):
    """A kind of thing that something is known of."""

    name: Name
    id: Literal["string", "int64"] = "string"
    """The type of its ids."""
    description: str = ""


class Feature(Section):
    """One thing that is known of an entity."""

    name: Name
    type: Typed
    """`int64`, `float64`, `bool`, `string`, `bytes`, `string_list` or `float_list[n]`."""
    required: bool = False
    """An answer without it is worth nothing: where it has neither a value nor a default, there is
    none. It cannot be written as null."""
    default: Any = None
    """Stands in where there is no value."""
    allow_nan: bool = False
    """Take NaN and infinities."""
    aggregate: Aggregation | None = None
    """Of the events of its view."""
    transform: Transform | None = None
    """Of other features."""
    cel: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """An expression of other features, in the Common Expression Language."""
    lookup: LookedUp | None = None
    """In a table."""
    description: str = ""

    @property
    def computed(self) -> bool:
        """Whether it is computed from other features."""
        return any(each is not None for each in (self.transform, self.cel, self.lookup))

    @property
    def origin(self) -> str:
        """Where it comes from, for people. Empty: it is written."""
        if self.aggregate is not None:
            return self.aggregate.described
        if self.transform is not None:
            return f"{self.transform.function} of {' and '.join(references(self.transform))}"
        if self.lookup is not None:
            return f"{self.lookup.column} of table {self.lookup.table} for {self.lookup.key}"
        return self.cel or ""

    @model_validator(mode="before")
    @classmethod
    def _default_of_its_type(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("default") is None:
            return data
        try:
            kind = Kind.named(data.get("type"))
        except ValueError:
            return data  # which is told anyway
        finite = not data.get("allow_nan")
        try:
            return {**data, "default": kind.checked(data["default"], finite=finite)}
        except ValueError as error:
            raise ValueError(f"default: {error}") from error


class View(Section):
    """Features of one entity that are written together."""

    name: Name
    entity: str
    features: tuple[Feature, ...]
    ttl_s: Seconds | None = None
    """A row is forgotten this long after its event. None: never."""
    max_age_s: Seconds | None = None
    """What is older than this is not given. None: any age is good."""
    owner: str = ""
    version: Annotated[int, Field(ge=1)] = 1
    """Rows are kept apart by it: raise it when they come to mean something else."""
    events: Kinds | None = None
    """What its features are aggregates of: one kind of events, or several."""
    by: str | None = None
    """The field of these events that says of which entity they are; left out: the one that is
    called as the entity."""
    request: tuple[Request, ...] = ()
    """What the caller may say in a request, for its features to be computed with."""
    cache_ttl_s: Seconds | None = None
    """For how long what was computed is good. None: it is computed each time."""
    description: str = ""

    @property
    def kind(self) -> Literal["stored", "aggregated", "computed"]:
        """Where its rows come from."""
        if self.events is not None:
            return "aggregated"
        return "computed" if self.features and self.features[0].computed else "stored"


class Declaration(Section):
    """All that a file declares."""

    entities: tuple[Entity, ...]
    events: tuple[Event, ...] = ()
    tables: tuple[Table, ...] = ()
    views: tuple[View, ...]


def read(data: object, *, files_in: Path = _HERE) -> Declaration:
    """Return what a file declares, or raise `DeclarationError` with all that is wrong.

    The files that it names are relative to `files_in`.
    """
    try:
        declared = Declaration.model_validate(data)
    except ValidationError as error:
        raise DeclarationError(_described(error, data)) from error
    if problems := [*contradictions(declared)]:
        raise DeclarationError(problems)
    tables = tuple(each.relative_to(files_in) for each in declared.tables)
    return declared.model_copy(update={"tables": tables})


def _described(error: ValidationError, data: object) -> list[str]:
    return [
        f"{_path(each['loc'], data) or 'the file'}: {_message(each)}"
        for each in error.errors(include_url=False)
    ]


def _message(each: "ErrorDetails") -> str:
    """Return what is wrong, and what may be meant. A transform is told by its function."""
    said, message = each["input"], each["msg"].removeprefix("Value error, ")
    match each["type"]:
        case "extra_forbidden":
            *place, key = each["loc"]
            return f"no such key; {nearest(str(key), _keys_at(place))}"
        case "missing":
            return "it is required"
        case "union_tag_not_found":
            return "function: it is required"
        case "union_tag_invalid":
            tag, known = each["ctx"]["tag"], each["ctx"]["expected_tags"].replace("'", "")
            return f"function: there is no {tag!r:.80}; {nearest(tag, known.split(', '))}"
    # Of a whole section, the message names the key.
    return message if isinstance(said, dict) else f"{message}, got {said!r:.80}"


def _keys_at(location: Iterable[int | str]) -> Iterable[str]:
    """Return the keys that there may be at a place."""
    sections: list[type[BaseModel]] = [Declaration]
    for step in location:
        fields = [each.model_fields[step] for each in sections if step in each.model_fields]
        if fields:  # otherwise it is an index, or says which of several sections it is
            sections = [it for field in fields for it in _sections_in(field.annotation)]
    return sorted({key for each in sections for key in each.model_fields})


def _sections_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [each for part in get_args(annotation) for each in _sections_in(part)]


def _path(location: tuple[int | str, ...], data: Any) -> str:
    steps: list[str] = []
    for place, step in enumerate(location, start=1):
        if isinstance(data, dict) and step not in data and place < len(location):
            continue  # it says which of several sections it is
        try:
            data = data[step]
        except (TypeError, KeyError, IndexError):
            data = None
        name = data.get("name") if isinstance(step, int) and isinstance(data, dict) else None
        steps.append(name if isinstance(name, str) else str(step))
    return ".".join(steps)
