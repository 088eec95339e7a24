"""What the ranking model is told: by name, of all hits at once, the same wherever it is asked."""

import math

import numpy as np
import pytest

from inferd.config.search.behaviour import SearchBehaviour as Settings
from inferd.services.search.behaviour import DAY_US, Act, SearchBehaviour
from inferd.services.search.document_words import MOST_WORDS
from inferd.services.search.features import SearchFeatures
from inferd.services.search.query.understood import Intent, Part, Understood
from inferd.services.search.text_query import Alternative, Retrieved, StoredDocument, Values, Word

NOW = 20_000 * DAY_US


def asked(*words: str | tuple[str, ...]) -> Understood:
    """Return a query; several texts are alternatives of one word."""
    parts = []
    for each in words:
        texts = (each,) if isinstance(each, str) else each
        word = Word(tuple(Alternative(text) for text in texts))
        parts.append(Part(texts[0], word, frequency=1))
    text = " ".join(part.text for part in parts)
    return Understood(text, text, tuple(parts), Intent.CATEGORY)


def found(*fields: Values, scores: tuple[float, ...] = (), first: int = 0) -> Retrieved:
    columns = {
        name: np.array([float(str(each.get(name, "nan"))) for each in fields])
        for name in ("price", "released_us")
    }
    return Retrieved(
        ids=tuple(f"d{first + number}" for number in range(len(fields))),
        text_scores=np.array(scores or [1.0] * len(fields), np.float32),
        documents=tuple(
            StoredDocument(first + number, f"d{first + number}", each)
            for number, each in enumerate(fields)
        ),
        columns=columns,
        total=len(fields),
        epoch=1,
    )


def behaviour() -> SearchBehaviour:
    return SearchBehaviour(Settings(examined=(1.0,), ctr_clicks=1, ctr_looks=10, pair_clicks=1))


def told(
    name: str, query: Understood, hits: Retrieved, known: SearchBehaviour | None = None
) -> object:
    rows = SearchFeatures([name]).rows(query, hits, known or behaviour(), NOW)
    assert rows.dtype == np.float32
    return pytest.approx(rows[:, 0].tolist(), abs=1e-6)


LAMPS = found(
    {"title": "Red desk lamp", "brand": "Aldera", "text": "A lamp. For a desk.", "price": 100},
    {"title": "Desk with a red lamp", "brand": ("Red", "Lamp"), "price": 400},
    {"title": "Chair", "price": 200},
    scores=(4.0, 2.0, 1.0),
)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("text.score", [4, 2, 1]),
        ("best(text.score)", [1, 0.5, 0.25]),
        ("log(text.score)", [math.log(5), math.log(3), math.log(2)]),
        ("match.title", [1, 1, 0]),
        ("match.brand", [0, 2 / 3, 0]),
        ("match.text", [2 / 3, 0, 0]),
        ("order.title", [1, 0, 0]),
        ("phrase.title", [1, 0, 0]),
        ("cover.title", [1, 3 / 5, 0]),
        ("query.words", [3, 3, 3]),
        ("field.price", [100, 400, 200]),
        ("usual(field.price)", [math.log(0.5), math.log(2), 0]),
        ("field.nothing", [-1, -1, -1]),
    ],
)
def test_a_feature_says_what_its_name_says(name: str, values: list[float]) -> None:
    assert told(name, asked("red", "desk", "lamp"), LAMPS) == values


def test_a_word_is_found_in_any_of_the_fields_that_are_named() -> None:
    hits = found({"title": "lamp", "brand": "Aldera"}, {"title": "lamp"})

    rows = SearchFeatures(["match.any", "match.title", "match.brand"]).rows(
        asked("aldera", "lamp"), hits, behaviour(), NOW
    )

    assert rows.tolist() == [[1, 0.5, 0.5], [0.5, 0.5, 0]]


def test_a_word_is_found_if_one_of_its_alternatives_is() -> None:
    hits = found({"title": "Ski goggles"}, {"title": "Sun glasses"}, {"title": "glasses, sun"})

    assert told("match.title", asked(("goggles", "sun glasses")), hits) == [1, 1, 1]


def test_accents_and_case_make_no_difference() -> None:
    assert told("match.title", asked("creme"), found({"title": "CRÈME"})) == [1]


def test_what_is_far_behind_in_a_text_is_not_looked_at() -> None:
    hits = found({"text": "word " * (MOST_WORDS - 1) + "lamp"}, {"text": "word " * 70 + "lamp"})

    assert told("match.text", asked("lamp"), hits) == [1, 0]


def test_age_is_in_days() -> None:
    hits = found({"released_us": NOW - 3 * DAY_US}, {})

    assert told("age_days.released_us", asked("lamp"), hits) == [3, -1]


def test_what_everybody_did_is_told() -> None:
    known = behaviour()
    known.shown(["d0", "d1"], NOW)
    for act in (Act.CLICK, Act.CART, Act.PURCHASE):
        known.record("lamp", "d1", act, NOW - DAY_US)
    names = ["document.looks_7d", "document.carts_1d", "document.ctr_30d"]
    fade = 2 ** (-1 / 30)

    rows = SearchFeatures(names).rows(asked("lamp"), LAMPS, known, NOW)

    assert rows == pytest.approx(
        np.array([[1, 0, 1 / 11], [1, 0.5, (1 + fade) / 11], [0, 0, 0.1]]), abs=1e-6
    )
    assert told("pair.clicks", asked("lamp"), LAMPS, known) == [0, fade, 0]
    assert told("pair.share", asked("lamp"), LAMPS, known) == [0, fade / (1 + fade), 0]
    assert told("pair.clicks", asked("red", "lamp"), LAMPS, known) == [0, 0, 0]


def test_a_click_reaches_the_next_query() -> None:
    known, features = behaviour(), SearchFeatures(["log(pair.clicks)"])
    before = features.rows(asked("lamp"), LAMPS, known, NOW)

    known.record("lamp", "d2", Act.CLICK, NOW)

    assert before[2, 0] == 0 < features.rows(asked("lamp"), LAMPS, known, NOW)[2, 0]


def test_the_words_of_a_few_documents_are_remembered_and_the_others_are_read_again() -> None:
    features = SearchFeatures(["match.title"], remembered=4)
    titles = [{"title": "lamp" if number % 3 else "chair"} for number in range(40)]

    for first in [*range(0, 36, 3), 0, 2, 1]:
        hits = found(*titles[first : first + 4], first=first)
        rows = features.rows(asked("lamp"), hits, behaviour(), NOW)

        assert rows[:, 0].tolist() == [float(each % 3 > 0) for each in range(first, first + 4)]


@pytest.mark.parametrize(
    "name", ["", "text", "match.", "document.clicks_2d", "log(nothing)", "a.b"]
)
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no feature"):
        SearchFeatures([name])


def test_no_words_and_no_hits_are_no_trouble() -> None:
    names = ["match.any", "match.title", "order.title", "phrase.title", "cover.title"]
    names += ["best(text.score)", "usual(field.price)", "pair.share", "document.ctr_1d"]
    features = SearchFeatures(names)

    assert features.rows(asked("lamp"), found(), behaviour(), NOW).shape == (0, 9)
    nothing = features.rows(asked(), LAMPS, behaviour(), NOW)
    assert nothing[:, :5].tolist() == [[0] * 5] * 3
    assert np.isfinite(nothing).all()


def test_what_is_told_does_not_depend_on_the_order_of_the_hits() -> None:
    names = ["best(text.score)", "match.title", "usual(field.price)", "document.ctr_7d"]
    features, known = SearchFeatures(names), behaviour()
    known.record("lamp", "d1", Act.CLICK, NOW)
    rows = features.rows(asked("red", "lamp"), LAMPS, known, NOW)

    turned = Retrieved(
        ids=LAMPS.ids[::-1],
        text_scores=LAMPS.text_scores[::-1],
        documents=LAMPS.documents[::-1],
        columns={name: values[::-1] for name, values in LAMPS.columns.items()},
        total=3,
        epoch=1,
    )

    np.testing.assert_array_equal(
        features.rows(asked("red", "lamp"), turned, known, NOW), rows[::-1]
    )
