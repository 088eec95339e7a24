"""How features are declared: a YAML file of entities and views, validated when it is read.

What is wrong is told all at once, each with the path of its key, in which the members of lists go
by their names: `views.profile.features.age.type`.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, InstanceOf, ValidationError, model_validator

from inferd.config.section import Positive, Section
from inferd.features.kinds import Kind

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
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
    type: Annotated[InstanceOf[Kind], BeforeValidator(Kind.named)]
    """`int64`, `float64`, `bool`, `string`, `bytes` or `float_list[n]`."""
    required: bool = False
    """An answer without it is worth nothing: where it has neither a value nor a default, there is
    none. It cannot be written as null."""
    default: Any = None
    """Stands in where there is no value."""
    allow_nan: bool = False
    """Take NaN and infinities."""
    description: str = ""

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
    description: str = ""


class Declaration(Section):
    """All that a file declares."""

    entities: tuple[Entity, ...]
    views: tuple[View, ...]


def read(data: object) -> Declaration:
    """Return what a file declares, or raise `DeclarationError` with all that is wrong."""
    try:
        declared = Declaration.model_validate(data)
    except ValidationError as error:
        raise DeclarationError(_described(error, data)) from error
    if problems := [*_contradictions(declared)]:
        raise DeclarationError(problems)
    return declared


def nearest(name: str, known: Iterable[str]) -> str:
    """Return what to say to whoever asked for a name that is not known."""
    return _nearest(name[:64], tuple(known))


@lru_cache(maxsize=1024)  # it takes a third of a millisecond, and a mistake is made in every row
def _nearest(name: str, known: tuple[str, ...]) -> str:
    if near := get_close_matches(name, known, n=3, cutoff=0.5):
        return f"did you mean {', '.join(near)}?"
    some = ", ".join(sorted(known)[:10])
    return f"there are {some}" + (", ..." if len(known) > 10 else "")


def _contradictions(declared: Declaration) -> Iterable[str]:
    entities = [each.name for each in declared.entities]
    yield from _miscounted("entities", entities)
    yield from _miscounted("views", [each.name for each in declared.views])
    for view in declared.views:
        path = f"views.{view.name}"
        yield from _miscounted(f"{path}.features", [each.name for each in view.features])
        if view.entity not in entities:
            yield (
                f"{path}.entity: there is no entity {view.entity!r:.80};"
                f" {nearest(view.entity, entities)}"
            )


def _miscounted(path: str, names: Sequence[str]) -> Iterable[str]:
    if not names:
        yield f"{path}: there are none"
    for name in sorted({each for each in names if names.count(each) > 1}):
        yield f"{path}.{name}: declared {names.count(name)} times"


def _described(error: ValidationError, data: object) -> list[str]:
    lines = []
    for each in error.errors(include_url=False, include_context=False):
        path = _path(each["loc"], data) or "the file"
        if each["type"] == "extra_forbidden":
            lines.append(f"{path}: no such key")
        else:
            message = each["msg"].removeprefix("Value error, ")
            lines.append(f"{path}: {message}, got {each['input']!r:.80}")
    return lines


def _path(location: tuple[int | str, ...], data: Any) -> str:
    steps: list[str] = []
    for step in location:
        try:
            data = data[step]
        except (TypeError, KeyError, IndexError):
            data = None
        name = data.get("name") if isinstance(step, int) and isinstance(data, dict) else None
        steps.append(name if isinstance(name, str) else str(step))
    return ".".join(steps)
