"""What is computed has an order, or is refused with the paths of all that is in its way."""

from typing import Any

import pytest
import yaml

from inferd.features.compute.plan import Recipe
from inferd.features.declaration import DeclarationError
from inferd.features.definitions import Definitions
from inferd.features.kinds import Held

SHOP = """
entities: [{name: user}, {name: item}]
events:
  - name: purchase
    fields: [{name: user, type: string}, {name: amount, type: float64}]
tables:
  - name: countries
    file: countries.csv
    key: {name: code, type: string}
    columns: [{name: risk, type: float64}, {name: region, type: string}]
views:
  - name: profile
    entity: user
    features:
      - {name: age, type: int64}
      - {name: country, type: string}
      - {name: taste, type: "float_list[2]"}
  - name: spending
    entity: user
    events: purchase
    features:
      - {name: hourly, type: float64, aggregate: {function: sum, of: amount, window: 1h}}
      - {name: daily, type: float64, aggregate: {function: sum, of: amount, window: 24h}}
  - name: habits
    entity: user
    cache_ttl_s: 60
    features:
      - {name: share, type: float64, cel: "spending.hourly / spending.daily"}
      - {name: region, type: string,
         lookup: {table: countries, key: profile.country, column: region}}
      - {name: age_band, type: int64,
         transform: {function: bucketise, of: profile.age, bounds: [18, 65]}}
  - name: risk
    entity: user
    request: [{name: amount, type: float64}, {name: country, type: string}]
    features:
      - {name: score, type: float64, cel: "risk.unusual * (abroad.risk + habits.share)"}
      - {name: unusual, type: float64,
         cel: "request.amount / (spending.daily == null ? 1.0 : spending.daily + 1.0)"}
      - {name: place, type: int64,
         transform: {function: cross, of: [request.country, habits.region], buckets: 100}}
  - name: abroad
    entity: user
    request: [{name: country, type: string}]
    features:
      - {name: risk, type: float64,
         lookup: {table: countries, key: request.country, column: risk}}
  - name: listing
    entity: item
    features: [{name: price, type: float64}]
"""


def read(text: str) -> Definitions:
    return Definitions.read(yaml.safe_load(text))


def recipe(definitions: Definitions, view: str, *names: str) -> Recipe:
    it = definitions.views[view]
    return definitions.plan.recipe(it, it.places_of(names, field="features"))


def bases(made: Recipe) -> dict[str, list[str]]:
    return {
        view.name: [view.features[place].name for place in places]
        for view, places in made.bases.items()
    }


def steps(made: Recipe) -> list[str]:
    return [f"{step.view.name}.{step.view.features[step.place].name}" for step in made.steps]


def test_a_recipe_has_all_that_is_needed_and_nothing_else() -> None:
    made = recipe(read(SHOP), "risk", "score")

    assert bases(made) == {"habits": ["share"], "spending": ["daily"]}
    assert [view.name for view in made.cached] == ["habits"]
    assert sorted(made.requests) == ["amount", "country"]
    assert sorted(steps(made)) == ["abroad.risk", "risk.score", "risk.unusual"]
    assert steps(made)[-1] == "risk.score"


def test_followed_step_by_step_it_gives_the_values() -> None:
    made = recipe(read(SHOP), "risk", "unusual", "score")
    read_ = {"habits.share": 0.25, "spending.daily": 4.0}
    said: dict[str, Held] = {"amount": 10.0, "country": "DE"}

    slots: list[Held | None] = [
        read_[f"{view.name}.{view.features[place].name}"]
        for view, places in made.bases.items()
        for place in places
    ]
    slots += [said[name] for name in made.requests]
    for step in made.steps:
        inputs = [slots[slot] for slot in step.inputs]
        if step.compute is None:
            assert (step.table and step.table.name, step.column) == ("countries", "risk")
            assert inputs == ["DE"]
            slots.append(0.5)
        else:
            slots.append(step.compute(inputs))

    assert [slots[slot] for slot in made.outputs] == [2.0, 1.5]


def test_a_cached_view_is_read_by_others_and_computed_by_itself() -> None:
    definitions = read(SHOP)

    assert steps(recipe(definitions, "habits", "share")) == ["habits.share"]
    assert bases(recipe(definitions, "habits", "share")) == {"spending": ["hourly", "daily"]}
    assert bases(recipe(definitions, "risk", "place")) == {"habits": ["region"]}


def test_a_recipe_is_made_once() -> None:
    definitions = read(SHOP)

    assert recipe(definitions, "risk", "score") is recipe(definitions, "risk", "score")


def test_chains_may_be_long() -> None:
    features: list[dict[str, Any]] = [
        {
            "name": f"f{n}",
            "type": "float64",
            "transform": {"function": "log1p", "of": f"c.f{n + 1}"},
        }
        for n in range(2000)
    ]
    features.append({"name": "f2000", "type": "float64", "cel": "1.0"})
    view = {"name": "c", "entity": "e", "features": features}

    definitions = Definitions.read({"entities": [{"name": "e"}], "views": [view]})

    assert steps(recipe(definitions, "c", "f0"))[::2000] == ["c.f2000", "c.f0"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "of: profile.age,",
            "of: profil.age,",
            "views.habits.features.age_band.transform.of: there is no view 'profil';"
            " did you mean profile",
        ),
        (
            "of: profile.age,",
            "of: profile.aeg,",
            "age_band.transform.of: view profile has no feature 'aeg'; did you mean age",
        ),
        (
            "of: profile.age,",
            "of: listing.price,",
            "age_band.transform.of: listing.price is of item, not of user",
        ),
        (
            "of: profile.age,",
            "of: profile.taste,",
            r"age_band.transform: profile.taste is float_list\[2\], and bucketise is of int64",
        ),
        (
            "of: profile.age,",
            "of: request.age,",
            "age_band.transform.of: view habits declares no request 'age'",
        ),
        (
            "request.country, habits",
            "request.county, habits",
            "place.transform.of: view risk declares no request 'county'; did you mean country",
        ),
        (
            "age_band, type: int64",
            "age_band, type: float64",
            "views.habits.features.age_band.type: bucketise is int64 here, not float64",
        ),
        (
            "share, type: float64",
            "share, type: int64",
            "views.habits.features.share.type: the expression is float64, not int64",
        ),
        (
            "risk.unusual *",
            "risk.usual *",
            "views.risk.features.score.cel: undeclared reference to 'risk.usual'; did you mean"
            " risk.unusual",
        ),
        (
            "abroad.risk +",
            "listing.price +",
            "views.risk.features.score.cel: listing.price is of item, not of user",
        ),
        (
            "risk.unusual *",
            "request.amuont *",
            "score.cel: undeclared reference to 'request.amuont'; did you mean request.amount",
        ),
        (
            "table: countries, key: profile",
            "table: county, key: profile",
            "views.habits.features.region.lookup.table: there is no table 'county'; did you mean",
        ),
        (
            "column: region",
            "column: regin",
            "region.lookup.column: table countries has no column 'regin'; did you mean region",
        ),
        (
            "column: region",
            "column: risk",
            "views.habits.features.region.type: column risk is float64 here, not string",
        ),
        (
            "key: profile.country",
            "key: profile.age",
            "region.lookup.key: profile.age is int64, and the keys of countries are string",
        ),
        (
            "spending.hourly / spending.daily",
            "habits.share",
            "views.habits.features.share: habits.share -> habits.share is a cycle",
        ),
        (
            "request.amount / (",
            "risk.score / (",
            "views.risk.features.score: risk.score -> risk.unusual -> risk.score is a cycle",
        ),
        (
            "spending.hourly / spending.daily",
            "risk.unusual",
            "views.habits.cache_ttl_s: habits.share -> risk.unusual -> request.amount: what"
            " depends on the request cannot be cached",
        ),
        (
            "cache_ttl_s: 60",
            "cache_ttl_s: 60\n    request: [{name: amount, type: float64}]",
            "views.habits.cache_ttl_s: what depends on the request cannot be cached",
        ),
        ("cache_ttl_s: 60", "max_age_s: 60", "views.habits.max_age_s: nothing is stored"),
        (
            "region, type: string,\n         lookup",
            "region, type: string, allow_nan: true,\n         lookup",
            "views.habits.features.region.allow_nan: what is computed is finite",
        ),
        ("- name: listing", "- name: request", "views.request.name: in references, it stands"),
    ],
)
def test_what_cannot_be_computed_is_refused_with_its_path(
    before: str, after: str, message: str
) -> None:
    assert before in SHOP
    with pytest.raises(DeclarationError, match=message):
        read(SHOP.replace(before, after, 1))


def test_all_that_cannot_be_computed_is_told_at_once() -> None:
    wrong = (
        SHOP.replace("of: profile.age,", "of: profile.aeg,")
        .replace("column: region", "column: regin")
        .replace("request.amount / (", "risk.score / (")
    )

    with pytest.raises(DeclarationError) as refused:
        read(wrong)

    assert len(refused.value.problems) == 3


def test_every_cycle_is_told() -> None:
    view = """
    entities: [{name: e}]
    views:
      - {name: a, entity: e, features: [{name: x, type: int64, cel: b.x},
                                        {name: y, type: int64, cel: b.y + a.x}]}
      - {name: b, entity: e, features: [{name: x, type: int64, cel: a.x},
                                        {name: y, type: int64, cel: a.y}]}
    """
    with pytest.raises(DeclarationError) as refused:
        read(view)

    assert sorted(refused.value.problems) == [
        "views.a.features.x: a.x -> b.x -> a.x is a cycle",
        "views.a.features.y: a.y -> b.y -> a.y is a cycle",
    ]


def test_cached_views_cannot_need_each_other_even_where_features_do_not() -> None:
    views = """
    entities: [{name: e}]
    views:
      - {name: a, entity: e, cache_ttl_s: 1, features: [{name: x, type: int64, cel: c.z},
                                                        {name: y, type: int64, cel: "1"}]}
      - {name: b, entity: e, cache_ttl_s: 1, features: [{name: z, type: int64, cel: a.y}]}
      - {name: c, entity: e, features: [{name: z, type: int64, cel: b.z}]}
    """
    with pytest.raises(DeclarationError, match=r"views\.a\.cache_ttl_s: a -> b -> a: cached views"):
        read(views)

    sound = read(views.replace("b, entity: e, cache_ttl_s: 1", "b, entity: e"))
    assert steps(recipe(sound, "a", "x")) == ["a.y", "b.z", "c.z", "a.x"]
