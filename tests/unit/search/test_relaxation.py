"""Where nothing fits all of a query, less is asked for."""

from inferd.services.search.query.relaxation import relaxations
from inferd.services.search.query.understood import Intent, Part, Relaxed, Understood
from inferd.services.search.text_query import Alternative, Between, Equals, Filter, Word

SONY = Equals("brand", "Sony")
CHEAP = Between("price_minor", None, 5000)


def part(text: str, frequency: int, filter: Filter | None = None) -> Part:
    return Part(text, Word((Alternative(text),)), frequency, filter)


def query(*parts: Part, filters: tuple[Filter, ...] = ()) -> Understood:
    text = " ".join(each.text for each in parts)
    return Understood(text, text, parts, Intent.ATTRIBUTE, filters, dropped=("the",))


def steps(understood: Understood) -> list[tuple[Relaxed, str, int]]:
    """Return of each step what was done, the required words, and how many filters there are."""
    return [
        (
            each.relaxed,
            " ".join(word.alternatives[0].text for word in each.words if word.required),
            len(each.filters),
        )
        for each in relaxations(understood)
    ]


def test_frequent_words_become_optional_before_rare_ones_and_then_all() -> None:
    asked = query(part("red", 300), part("suede", 7), part("loafers", 40), part("sale", 900))

    assert steps(asked) == [
        (Relaxed.OPTIONAL_WORDS, "suede loafers", 0),
        (Relaxed.OPTIONAL_WORDS, "suede", 0),
        (Relaxed.ANY_WORD, "", 0),
    ]


def test_what_no_document_has_becomes_optional_first() -> None:
    first = next(relaxations(query(part("red", 300), part("xyzzy", 0), part("lamp", 5))))

    assert [word.required for word in first.words] == [True, False, True]
    assert first.dropped == ("the", "xyzzy")


def test_a_number_says_less_than_any_word() -> None:
    first = next(relaxations(query(part("iphone", 500), part("13", 2))))

    assert first.dropped == ("the", "13")


def test_without_its_filters_the_words_are_searched_for() -> None:
    asked = query(part("sony", 90, SONY), part("lamp", 40), filters=(SONY, CHEAP))

    assert [word.alternatives[0].text for word in asked.words] == ["lamp"]
    assert steps(asked) == [
        (Relaxed.WITHOUT_FILTERS, "sony lamp", 0),
        (Relaxed.ANY_WORD, "", 0),
    ]


def test_a_filter_stays_while_words_become_optional() -> None:
    asked = query(part("red", 300), part("lamp", 40), filters=(CHEAP,))

    assert steps(asked)[0] == (Relaxed.OPTIONAL_WORDS, "lamp", 1)


def test_a_single_word_has_nothing_to_leave_out() -> None:
    assert steps(query(part("lamp", 40))) == []
    assert steps(query(part("xyzzy", 0))) == []
    assert steps(query()) == []


def test_any_word_leaves_out_nothing_for_good() -> None:
    *_, last = relaxations(query(part("red", 300), part("lamp", 40)))

    assert len(last.words) == 2
    assert last.dropped == ("the", "red", "lamp")
