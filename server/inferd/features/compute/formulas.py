"""What each computed feature is computed from, and how: its names looked up, its types checked."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from inferd.features.compute.expressions import BadExpression, Expression
from inferd.features.compute.transforms import Compute, compiled
from inferd.features.derivation import LookedUp, Table, Transform, references
from inferd.features.kinds import Held, Kind
from inferd.features.suggestions import nearest

if TYPE_CHECKING:
    from inferd.features.declaration import Feature
    from inferd.features.definitions import Definitions, View


class Node(NamedTuple):
    """A feature, and where it stands in its view."""

    view: "View"
    place: int

    @property
    def feature(self) -> "Feature":
        """How it is declared."""
        return self.view.features[self.place]

    def __str__(self) -> str:
        return f"{self.view.name}.{self.feature.name}"


Input = Node | str
"""A feature, or the name of what the caller says in the request."""


class Formula(NamedTuple):
    """How one feature comes to its value."""

    inputs: tuple[Input, ...]
    compute: Compute | None = None
    table: Table | None = None
    """Instead of `compute`: the only input is its key."""
    column: str = ""


class Formulas:
    """How all features that are computed come to their values, and what is wrong with that."""

    def __init__(self, definitions: "Definitions") -> None:
        self._views = views = definitions.views
        self._tables = definitions.tables
        self._said = definitions.said
        self._kinds = {
            f"{view.name}.{feature.name}": feature.type
            for view in views.values()
            for feature in view.features
        }
        #: Each with the path of its key.
        self.problems: list[str] = []
        self.made: dict[Node, Formula] = {}
        for view in views.values():
            for place, feature in enumerate(view.features):
                if feature.computed:
                    self._make(Node(view, place))

    def _make(self, node: Node) -> None:
        feature, view = node.feature, node.view
        path = f"views.{view.name}.features.{feature.name}"
        if feature.transform is not None:
            self._transformed(node, feature.transform, path)
        elif feature.cel is not None:
            self._expressed(node, feature.cel, path)
        elif feature.lookup is not None:
            self._looked_up(node, feature.lookup, path)

    def _transformed(self, node: Node, transform: Transform, path: str) -> None:
        names = references(transform)
        inputs = self._resolved(names, node.view, f"{path}.transform.of")
        if len(inputs) < len(names):
            return
        try:
            kind, compute = compiled(transform, [self._kind(each) for each in inputs])
        except ValueError as error:
            self.problems.append(f"{path}.transform: {error}")
            return
        self._check_type(node, kind, transform.function, path)
        self.made[node] = Formula(inputs, compute)

    def _expressed(self, node: Node, text: str, path: str) -> None:
        said = {f"request.{each.name}": each.type for each in node.view.declared.request}
        try:
            expression = Expression.compile(text, {**self._kinds, **said})
        except BadExpression as error:
            self.problems.append(f"{path}.cel: {error}")
            return
        inputs = self._resolved(expression.references, node.view, f"{path}.cel")
        if len(inputs) == len(expression.references):
            kind = node.feature.type
            if expression.result != kind.name:
                result = expression.result
                self.problems.append(f"{path}.type: the expression is {result}, not {kind}")
            self.made[node] = Formula(inputs, _evaluated(expression, kind))

    def _looked_up(self, node: Node, lookup: LookedUp, path: str) -> None:
        inputs = self._resolved([lookup.key], node.view, f"{path}.lookup.key")
        table = self._tables.get(lookup.table)
        if table is None:
            name, near = lookup.table, nearest(lookup.table, self._tables)
            self.problems.append(
                f"{path}.lookup.table: there is no table {name!r:.80}"
                + (f"; {near}" if self._tables else "")
            )
            return
        columns = {each.name: each.type for each in table.columns}
        if lookup.column not in columns:
            self.problems.append(
                f"{path}.lookup.column: table {table.name} has no column {lookup.column!r:.80};"
                f" {nearest(lookup.column, columns)}"
            )
            return
        self._check_type(node, columns[lookup.column], f"column {lookup.column}", path)
        for key in inputs:
            if self._kind(key) != table.key.type:
                self.problems.append(
                    f"{path}.lookup.key: {lookup.key} is {self._kind(key)},"
                    f" and the keys of {table.name} are {table.key.type}"
                )
            self.made[node] = Formula(inputs, table=table, column=lookup.column)

    def _check_type(self, node: Node, kind: Kind, of: str, path: str) -> None:
        if node.feature.type != kind:
            self.problems.append(f"{path}.type: {of} is {kind} here, not {node.feature.type}")

    def _kind(self, of: Input) -> Kind:
        return self._said[of] if isinstance(of, str) else of.feature.type

    def _resolved(self, names: Iterable[str], view: "View", path: str) -> tuple[Input, ...]:
        """Return what names stand for; for those that stand for nothing, note why."""
        inputs: list[Input] = []
        for name in names:
            try:
                inputs.append(self._input(name, view))
            except ValueError as error:
                self.problems.append(f"{path}: {error}")
        return tuple(inputs)

    def _input(self, reference: str, view: "View") -> Input:
        first, _, name = reference.partition(".")
        if first == "request":
            said = [each.name for each in view.declared.request]
            if name in said:
                return name
            near = f"; {nearest(name, said)}" if said else ""
            raise ValueError(f"view {view.name} declares no request {name!r:.80}{near}")
        of = self._views.get(first)
        if of is None:
            raise ValueError(f"there is no view {first!r:.80}; {nearest(first, self._views)}")
        place = of.places.get(name)
        if place is None:
            near = nearest(name, of.places)
            raise ValueError(f"view {first} has no feature {name!r:.80}; {near}")
        if of.entity is not view.entity:
            raise ValueError(f"{reference} is of {of.entity.name}, not of {view.entity.name}")
        return Node(of, place)


def _evaluated(expression: Expression, kind: Kind) -> Compute:
    names = expression.references

    def compute(values: Sequence[Held | None]) -> Held | None:
        result = expression.evaluate(dict(zip(names, values, strict=True)))
        if result is None:
            return None
        try:
            return kind.checked(result, finite=True)
        except ValueError:  # not finite, or a list of another length
            return None

    return compute
