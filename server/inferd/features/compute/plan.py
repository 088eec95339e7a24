"""In which order features are computed from others, and what must be read for them first.

The values of one entity are a list, which is filled from its front to its back: what was read,
what the caller said, and then one value for each step. A *slot* is a place in that list.

What is computed is computed anew for whoever asks. A view that is cached is the exception: others
read it like one that is stored, so nothing in it may depend on what one caller says.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from inferd.features.compute.formulas import Formulas, Input, Node
from inferd.features.compute.transforms import Compute
from inferd.features.declaration import DeclarationError
from inferd.features.derivation import Table

if TYPE_CHECKING:
    from inferd.features.definitions import Definitions, View

KEPT = 1024
"""Recipes. Few choices of features are asked for again and again."""

_Node = TypeVar("_Node", bound=Hashable)


class Step(NamedTuple):
    """One feature that is computed, or looked up."""

    view: "View"
    place: int
    inputs: tuple[int, ...]
    """Slots. Of a lookup, one: the table's key."""
    compute: Compute | None
    table: Table | None
    """Of a lookup."""
    column: str


class Recipe(NamedTuple):
    """All that some places of one computed view need."""

    bases: Mapping["View", Sequence[int]]
    """What is read first: views and places. Their values are the first slots, in this order."""
    cached: Sequence["View"]
    """Those of `bases` that are computed, and cached."""
    requests: Sequence[str]
    """What the caller says: the next slots, in this order."""
    steps: Sequence[Step]
    """In an order in which what is needed comes first: the next slots, in this order."""
    outputs: Sequence[int]
    """The slots of the places that were asked for, in their order."""


class Plan:
    """How everything is computed that is."""

    def __init__(self, definitions: "Definitions") -> None:
        """Raise `DeclarationError` naming all that cannot be computed."""
        formulas = Formulas(definitions)
        self._formulas = formulas.made
        graph = {node: self._needed(node) for node in self._formulas}
        cached = [view for view in definitions.views.values() if _cached(view)]
        if problems := [*formulas.problems, *_circular(graph), *self._uncacheable(cached)]:
            raise DeclarationError(problems)
        #: Where each comes in an order in which what is needed comes first.
        self._rank = {node: at for at, node in enumerate(TopologicalSorter(graph).static_order())}
        self._kept = lru_cache(maxsize=KEPT)(self._made)

    def recipe(self, view: "View", places: Sequence[int]) -> Recipe:
        """Return what places of a computed view need."""
        return self._kept(view, tuple(places))

    def _made(self, view: "View", places: tuple[int, ...]) -> Recipe:
        reached = self._reached(view, places)
        read = {each for each in reached if isinstance(each, Node) and self._is_base(each, view)}
        bases: dict[View, list[int]] = {}
        for node in sorted(read, key=lambda node: (node.view.name, node.place)):
            bases.setdefault(node.view, []).append(node.place)
        said = [each for each in reached if isinstance(each, str)]
        made = [each for each in reached if each in self._formulas and each not in read]
        made.sort(key=lambda node: self._rank[node])
        first = [Node(of, place) for of, its in bases.items() for place in its]
        inputs: Sequence[Input] = [*first, *said, *made]
        slots = {each: at for at, each in enumerate(inputs)}
        return Recipe(
            bases=bases,
            cached=[each for each in bases if _cached(each)],
            requests=said,
            steps=[self._step(node, slots) for node in made],
            outputs=[slots[Node(view, place)] for place in places],
        )

    def _step(self, node: Node, slots: Mapping[Input, int]) -> Step:
        inputs, compute, table, column = self._formulas[node]
        return Step(*node, tuple(slots[each] for each in inputs), compute, table, column)

    def _reached(self, view: "View", places: Iterable[int]) -> dict[Input, Input | None]:
        """Return all that places of a view need, and themselves; each with what needs it."""
        left: list[tuple[Input, Input | None]] = [(Node(view, place), None) for place in places]
        reached: dict[Input, Input | None] = {}
        while left:
            each, needed_by = left.pop()
            if each not in reached:
                reached[each] = needed_by
                if isinstance(each, Node) and not self._is_base(each, view):
                    left.extend((other, each) for other in self._formulas[each].inputs)
        return reached

    def _is_base(self, node: Node, view: "View") -> bool:
        """Whether a feature is read where `view` is computed."""
        return node not in self._formulas or (node.view is not view and _cached(node.view))

    def _needed(self, node: Node) -> Sequence[Node]:
        return [each for each in self._formulas[node].inputs if each in self._formulas]

    def _uncacheable(self, cached: Sequence["View"]) -> Iterator[str]:
        """Return why views cannot be cached: others they need depend on the request, or on them."""
        needs = {}
        for view in cached:
            reached = self._reached(view, view.everything)
            for name in reached:
                if isinstance(name, str):
                    yield (
                        f"views.{view.name}.cache_ttl_s: {_way(name, reached)}:"
                        " what depends on the request cannot be cached"
                    )
                    break
            others = {each.view: None for each in reached if isinstance(each, Node)}
            needs[view] = [each for each in others if each is not view and _cached(each)]
        for cycle in _cycles(needs):
            way = " -> ".join(each.name for each in cycle)
            yield (f"views.{cycle[0].name}.cache_ttl_s: {way}: cached views cannot need each other")


def _cached(view: "View") -> bool:
    return view.declared.cache_ttl_s is not None


def _way(name: str, reached: Mapping[Input, Input | None]) -> str:
    """Return how the request's `name` was reached."""
    way, at = [f"request.{name}"], reached[name]
    while at is not None:
        way.append(str(at))
        at = reached[at]
    return " -> ".join(reversed(way))


def _circular(graph: Mapping[Node, Sequence[Node]]) -> Iterator[str]:
    for cycle in _cycles(graph):
        way = " -> ".join(map(str, cycle))
        yield f"views.{cycle[0].view.name}.features.{cycle[0].feature.name}: {way} is a cycle"


def _cycles(graph: Mapping[_Node, Sequence[_Node]]) -> Iterator[Sequence[_Node]]:
    """Return cycles of which one link has to be cut each, for there to be none."""
    left = {node: [*needed] for node, needed in graph.items()}
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            cycle: list[_Node] = error.args[1][:0:-1]  # it names what is needed first
            start = cycle.index(min(cycle, key=str))
            cycle = [*cycle[start:], *cycle[: start + 1]]
            left[cycle[0]].remove(cycle[1])
            yield cycle
        else:
            return
