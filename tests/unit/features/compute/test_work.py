"""One entity while it is computed, step by step and without a clock."""

from inferd.features.compute.work import Rows, Wanted, Work
from inferd.features.definitions import Definitions
from inferd.features.values import Found, Lookup, Status, Value
from support.computing import EVENT_US, NOW_US, a_table, declared, log_of, looked_up

NEAR: Rows = {40: {"x": 4}}


def chain() -> Definitions:
    """Return `a` in a table at hand, `b` in one that is not by `a`, and `c` of `b`."""
    features = [
        looked_up("near", "a", key="user.age"),
        looked_up("far", "b", key="risk.a", required=True),
        log_of("c", "risk.b", default=-1.0),
    ]
    return declared(features, tables=[a_table("near"), a_table("far")])


def begun(age: Value) -> Work:
    """Return work for which everything has been read."""
    definitions = chain()
    view = definitions.views["risk"]
    recipe = definitions.plan.recipe(view, view.everything)
    work = Work(Lookup(view, 7, view.everything), recipe, {"near": NEAR})
    (base,) = work.bases
    work.take([Found(base, age.status, values=[age])])
    return work


def an_age(value: int | None, status: Status = Status.PRESENT) -> Value:
    return Value(value, status, EVENT_US, "memory")


def test_what_cannot_be_computed_here_is_wanted_once() -> None:
    work = begun(an_age(40))

    (wanted,) = work.advance()

    assert (wanted.table.name, wanted.key) == ("far", 4)
    assert work.advance() == []
    assert not work.hopeless


def test_what_follows_from_a_row_follows_when_it_is_there() -> None:
    work = begun(an_age(40))
    (wanted,) = work.advance()

    work.looked_up(wanted.number, {"x": 0})

    assert work.advance() == []
    assert [each.value for each in work.found(NOW_US).values] == [4, 0, 0.0]


def test_what_is_not_there_in_the_end_has_its_default_and_so_has_what_is_of_it() -> None:
    work = begun(an_age(40))
    work.advance()

    found = work.found(NOW_US)

    assert [*found.values] == [
        Value(4, Status.PRESENT, EVENT_US, "computed"),
        Value(None, Status.TIMED_OUT, None, ""),
        Value(-1.0, Status.TIMED_OUT, None, "default"),
    ]
    assert found.status is Status.TIMED_OUT


def test_without_a_key_a_required_feature_can_come_no_more() -> None:
    work = begun(an_age(41))

    assert work.advance() == list[Wanted]()
    assert work.hopeless
    assert work.found(NOW_US).lacking == ["risk:b"]
    assert work.found(NOW_US).status is Status.PRESENT
