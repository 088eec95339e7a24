from inferd.services.search.highlights import Highlights
from inferd.services.search.text_query import Alternative, Values, Word


def of(*texts: str, prefix: bool = False, length: int = 200) -> Highlights:
    return Highlights.of([Word((Alternative(each, prefix=prefix),)) for each in texts], length)


def marked(highlights: Highlights, text: str) -> str:
    return highlights.fields({"text": text}, ["text"]).get("text", "")


def test_words_are_marked_as_the_index_finds_them() -> None:
    assert marked(of("cafe"), "CAFÉ, cafe\u0301s") == "<em>CAFÉ</em>, cafe\u0301s"
    assert marked(of("cafe"), "a cafe\u0301") == "a <em>cafe\u0301</em>"


def test_everything_else_is_escaped() -> None:
    text = '<b>red</b> & "<em>"'
    assert marked(of("red"), text) == "&lt;b&gt;<em>red</em>&lt;/b&gt; &amp; &quot;&lt;em&gt;&quot;"
    assert marked(of("em"), "<em>") == "&lt;<em>em</em>&gt;"


def test_a_word_that_has_begun_is_marked_whole() -> None:
    assert marked(of("pho", prefix=True), "my phone") == "my <em>phone</em>"
    assert marked(of("pho"), "my phone") == ""


def test_of_a_long_text_the_part_is_shown_with_the_most_of_the_words() -> None:
    text = "red " + "filler " * 50 + "a red shoe " + "filler " * 50
    said = marked(of("red", "shoe", length=60), text)

    assert "<em>red</em> <em>shoe</em>" in said
    assert said.startswith("…")
    assert said.endswith("…")
    assert len(said) < 60 + 2 * len("<em></em>") + 2


def test_the_first_text_with_a_word_counts_and_fields_without_one_are_left_out() -> None:
    fields: Values = {"many": ("blue", "red"), "none": "blue", "price": 3.0}
    assert of("red").fields(fields, ["many", "none", "price", "absent"]) == {"many": "<em>red</em>"}
