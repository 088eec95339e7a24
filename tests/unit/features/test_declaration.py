"""A declaration fails when it is read, with the path of every key that is wrong."""

from typing import Any

import pytest
import yaml

from inferd.errors import InvalidRequest
from inferd.features.declaration import DeclarationError
from inferd.features.definitions import Definitions

SOUND = """
entities: [{name: user, id: int64}, {name: item}]
views:
  - name: profile
    entity: user
    ttl_s: 60
    max_age_s: 10
    owner: growth
    version: 2
    features:
      - {name: age, type: int64, default: 30}
      - {name: taste, type: "float_list[2]", default: [0, 1], required: true}
"""

NOTHING: dict[str, Any] = {"entities": [], "views": []}


def definitions(text: str = SOUND) -> Definitions:
    return Definitions.read(yaml.safe_load(text))


def test_what_is_declared_is_found_by_name() -> None:
    it = definitions()
    view = it.view("profile", field="view")

    assert view.entity is it.entity("user", field="entity")
    assert (view.ttl_us, view.max_age_us) == (60_000_000, 10_000_000)
    assert (view.owner, view.version) == ("growth", 2)
    assert view.places_of(["taste", "age"], field="names") == (1, 0)
    assert [str(each.type) for each in view.features] == ["int64", "float_list[2]"]
    assert [each.default for each in view.features] == [30, (0.0, 1.0)]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("type: int64", "type: int32", "views.profile.features.age.type: a type is one of int64"),
        ("float_list[2]", "float_list[0]", r"features.taste.type: a type is one of .*n from 1"),
        ("float_list[2]", "float_list[99999]", "features.taste.type: a type is one of"),
        ("default: 30", "default: old", "features.age: default: expected int64, got string"),
        ("[0, 1]", "[0]", "features.taste: default: expected 2 floats, got 1"),
        ("[0, 1]", "[0, .nan]", "features.taste: default: expected a finite float64, got nan"),
        ("ttl_s: 60", "ttl_s: 0", "views.profile.ttl_s: .*greater than 0, got 0"),
        ("ttl_s: 60", "ttl_s: .inf", "views.profile.ttl_s: .*finite"),
        ("ttl_s: 60", "ttl: 60", "views.profile.ttl: no such key; did you mean ttl_s"),
        ("default: 30", "defualt: 30", "age.defualt: no such key; did you mean default"),
        ("version: 2", "version: two", "views.profile.version: .*valid integer"),
        ("entity: user", "entity: usr", "views.profile.entity: .*'usr'; did you mean user"),
        ("name: age", "name: Age", "views.profile.features.Age.name: .*pattern"),
        ("name: age", "name: taste", "views.profile.features.taste: declared 2 times"),
        ("name: item", "name: user", "entities.user: declared 2 times"),
        ("id: int64", "id: float", "entities.user.id: .*'string' or 'int64'"),
        ("name: age, ", "", r"views.profile.features.0.name: it is required"),
    ],
)
def test_a_mistake_is_named_with_its_path(before: str, after: str, message: str) -> None:
    assert before in SOUND
    with pytest.raises(DeclarationError, match=message):
        definitions(SOUND.replace(before, after, 1))


@pytest.mark.parametrize("data", [None, [], "text", {}, {"entities": 7, "views": {}}, NOTHING])
def test_what_declares_nothing_is_refused(data: Any) -> None:
    with pytest.raises(DeclarationError):
        Definitions.read(data)


def test_all_mistakes_are_told_at_once() -> None:
    wrong = SOUND.replace("ttl_s: 60", "ttl_s: 0").replace("type: int64", "type: int")

    with pytest.raises(DeclarationError) as refused:
        definitions(wrong)

    assert len(refused.value.problems) == 2


@pytest.mark.parametrize("by", ["", "by: payer, "])
def test_a_view_of_events_that_are_not_named_is_told_once(by: str) -> None:
    count = "type: int64, aggregate: {function: count, window: 1h}"
    features = f"[{{name: n, {count}}}, {{name: m, {count}}}]"
    declared = f"entities: [{{name: e}}]\nviews: [{{name: v, entity: e, {by}features: {features}}}]"

    with pytest.raises(DeclarationError) as refused:
        definitions(declared)

    assert refused.value.problems == (
        "views.v.events: it is missing, and says of what n, m are aggregates",
    )


def test_whoever_asks_for_what_is_not_there_is_told_what_they_may_mean() -> None:
    it = definitions()
    profile = it.view("profile", field="v")

    with pytest.raises(
        InvalidRequest, match=r"no view 'profil'; did you mean profile\?"
    ) as refused:
        it.view("profil", field="features[2]")
    assert refused.value.violations[0].field == "features[2]"
    with pytest.raises(InvalidRequest, match=r"no entity 'users'; did you mean user\?"):
        it.entity("users", field="entity")
    with pytest.raises(InvalidRequest, match=r"no feature 'tastes'; did you mean taste\?"):
        profile.places_of(["tastes"], field="features")
    with pytest.raises(InvalidRequest, match="no feature 'zzz'; there are age, taste"):
        profile.places_of(["zzz"], field="features")


@pytest.mark.parametrize("given", ["1", "", 2**63, True, 1.0])
def test_an_id_is_of_its_type(given: Any) -> None:
    view = definitions().view("profile", field="v")

    assert view.id_of(-(2**63), field="id") == -(2**63)
    with pytest.raises(InvalidRequest, match="ids of entity user are int64"):
        view.id_of(given, field="id")


def test_a_feature_that_is_named_as_in_a_definition_is_told_its_other_name() -> None:
    with pytest.raises(InvalidRequest, match=r"no view 'profile.age'; here it is profile:age"):
        definitions().view("profile.age", field="features")


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ({"function": "log1q", "of": "a.b"}, "transform: function: .*'log1q'; did you mean log1p"),
        ({"of": "a.b"}, "transform: function: it is required"),
        ({"function": "hash", "of": "a.b"}, "ratio.transform.buckets: it is required"),
        ({"function": "log1p", "off": "a.b"}, "transform.off: no such key; did you mean of"),
    ],
)
def test_what_is_wrong_with_a_transform_is_told(transform: Any, message: str) -> None:
    ratio = {"name": "ratio", "type": "float64", "transform": transform}

    with pytest.raises(DeclarationError, match=message):
        Definitions.read({**NOTHING, "views": [{"name": "v", "entity": "e", "features": [ratio]}]})


@pytest.mark.parametrize("given", ["", "x" * 513, "ü" * 257, "\ud800", 1])
def test_a_text_that_is_an_id_is_neither_empty_nor_long(given: Any) -> None:
    view = definitions(SOUND.replace("id: int64", "id: string")).view("profile", field="v")

    assert view.id_of("ü" * 256, field="id")
    with pytest.raises(InvalidRequest, match="ids of entity user are strings of 1 to 512 bytes"):
        view.id_of(given, field="id")
