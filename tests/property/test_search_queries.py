"""Whatever is typed: it has one form, is understood somehow, and can be gone on with."""

from unicodedata import category

from hypothesis import example, given
from hypothesis import strategies as st

from inferd.config.search.query import SearchEntity, SearchPrices, SearchQuery
from inferd.config.search.suggest import SearchSuggest
from inferd.services.search.query.distance import distance
from inferd.services.search.query.lexicon import Lexicon, Tolerance
from inferd.services.search.query.normal import key_of, normalise
from inferd.services.search.query.relaxation import relaxations
from inferd.services.search.query.spelling import Speller
from inferd.services.search.query.synonyms import SynonymSet
from inferd.services.search.query.understanding import Rules, lexicon_of, understand
from inferd.services.search.query.understood import Relaxed
from inferd.services.search.suggest.completions import Completions, Entry, Kind
from inferd.services.search.suggest.suggester import Suggester
from inferd.services.search.words import words_of

LETTERS = st.text("abc", min_size=1, max_size=12)
WORDS = st.dictionaries(LETTERS, st.integers(1, 10_000), max_size=40)
#: Close to what is known, so that something happens to it.
TYPED = st.lists(
    st.sampled_from(
        (
            *("iphone", "ipone", "13", "iphone13", "sony", "the", "noise", "cancelling", "headp"),
            *("under", "between", "and", "-", "$500", "10", "20", "eur", "€", "1.000,50", "k"),
            *("\u200b", "\u202e", "?", "É", "ß", "🙂", "head", "phones", "anc", "  ", "running"),
        )
    ),
    max_size=12,
).map(" ".join)
ANYTHING = st.one_of(st.text(max_size=1000), TYPED)
SETTINGS = SearchQuery(
    entities={
        "brand": SearchEntity(field="brand", aliases={"iphone": "Apple"}),
        "category": SearchEntity(field="category", filter="alone"),
    },
    prices=SearchPrices(field="price_minor"),
)
VALUES = {"brand": ["Apple", "Sony"], "category": ["Running Shoes", "Headphones"]}
TERMS = {"iphone": 500, "13": 200, "headphones": 80, "head": 5, "noise": 9, "cancelling": 8}
LEXICON = lexicon_of(SETTINGS, TERMS, VALUES)
RULES = Rules.of(SETTINGS, [SynonymSet(("noise cancelling", "anc"))], VALUES)


@given(ANYTHING)
@example("\u0130\u0307")
@example("\ufdfa")
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalise(text)

    assert normalise(once, most=len(once)) == once
    assert {category(each) for each in once}.isdisjoint({"Cc", "Cf", "Cs"})
    assert "  " not in once


@given(text=ANYTHING, verbatim=st.booleans())
def test_any_text_is_understood_and_relaxed(text: str, verbatim: bool) -> None:
    understood = understand(text, LEXICON, RULES, verbatim=verbatim)

    assert understood.query == key_of(text)
    assert bool(words_of(normalise(text))) == bool(understood.parts or understood.filters)
    steps = list(relaxations(understood))
    assert len(steps) <= 5
    assert all(step.relaxed is not Relaxed.NO for step in steps)
    assert all(len(step.parts) == len(understood.parts) for step in steps)
    assert len({(step.words, step.filters) for step in (understood, *steps)}) == len(steps) + 1


@given(text=ANYTHING)
def test_what_is_written_the_same_is_understood_the_same(text: str) -> None:
    assert understand(text, LEXICON, RULES) == understand(text, LEXICON, RULES)


@given(words=WORDS, word=LETTERS)
def test_exactly_the_words_within_the_distance_are_near(words: dict[str, int], word: str) -> None:
    most = Tolerance().of(len(word))

    near = Lexicon(words).near(word)

    within = {other: distance(word, other, most) for other in words if other != word}
    assert {each.word: each.distance for each in near} == (
        {other: errors for other, errors in within.items() if errors <= most} if most else {}
    )


@given(one=st.text("ab", max_size=7), other=st.text("ab", max_size=7), most=st.integers(0, 4))
def test_a_distance_is_that_of_the_definition(one: str, other: str, most: int) -> None:
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i in range(len(one) + 1):
        for j in range(len(other) + 1):
            if not i or not j:
                table[i][j] = i + j
                continue
            table[i][j] = min(
                table[i - 1][j] + 1,
                table[i][j - 1] + 1,
                table[i - 1][j - 1] + (one[i - 1] != other[j - 1]),
            )
            if i > 1 and j > 1 and one[i - 2 : i] == other[j - 2 : j][::-1]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)

    assert distance(one, other, most) == min(table[-1][-1], most + 1)


@given(words=WORDS, written=st.lists(LETTERS, max_size=4))
def test_corrections_are_words_of_the_index_and_within_the_distance(
    words: dict[str, int], written: list[str]
) -> None:
    for reading in Speller(Lexicon(words), lambda _: False, 3, 1000).readings(written):
        if reading.correction is None:
            continue
        was, taken = reading.correction.written, reading.correction.taken_for
        assert all(part in words for part in taken.split())
        close = distance(was, taken, 2) <= Tolerance().of(len(was))
        assert close or was.replace(" ", "") == taken.replace(" ", "")


@given(
    texts=st.dictionaries(
        st.lists(LETTERS, min_size=1, max_size=3).map(" ".join), st.floats(0, 1e6), max_size=30
    ),
    typed=st.one_of(st.text("abc ", max_size=12), st.text(max_size=200)),
    recent=st.lists(st.text("abc ", max_size=12), max_size=5),
    count=st.integers(1, 8),
)
def test_suggestions_begin_with_what_was_typed_or_are_marked(
    texts: dict[str, float], typed: str, recent: list[str], count: int
) -> None:
    suggester = Suggester(SearchSuggest())
    suggester.use(Completions(Entry(text, each, Kind.QUERY) for text, each in texts.items()))

    found = suggester.suggest(typed, recent, count).suggestions

    key = key_of(typed)
    keys = [key_of(each.text) for each in found]
    assert len(set(keys)) == len(keys) <= count
    assert all(
        each.corrected or text.startswith(key) for each, text in zip(found, keys, strict=True)
    )
    assert all(0 <= each.match_end <= len(each.text) for each in found)
    scores = [each.score for each in found]
    assert scores == sorted(scores, reverse=True)
