"""Debian's packages become documents, and queries of somebody who knows what they are after."""

from debian_packages import described, mistyped, packages
from inferd.services.search.words import words_of

SAID = """\
Package: lamp-tools
Version: 2.0
Installed-Size: 120
Maintainer: Somebody <somebody@example.org>
Description: tools for lamps
Section: utils

Package: lamp-tools
Version: 1.0
Description: an older version

Package: desk
Description-en: furniture simulator
 It simulates desks and
 .
 chairs.
Installed-Size: unknown
"""


def test_a_package_is_a_document_of_the_first_version_that_is_there() -> None:
    first, second = packages(SAID.splitlines(keepends=True))

    assert first == (
        "lamp-tools",
        {
            "name": "lamp-tools",
            "summary": "tools for lamps",
            "description": "",
            "section": "utils",
            "maintainer": "Somebody <somebody@example.org>",
            "installed_kb": 120.0,
        },
    )
    assert second[1]["description"] == "It simulates desks and\n.\nchairs."
    assert "installed_kb" not in second[1]


def test_known_items_are_asked_for_by_rare_words_and_by_names_with_errors() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    said = "".join(
        f"Package: package{one}{other}\n"
        f"Description: the common {one}{other}x {other}{one}y z{one}{other}\n\n"
        for one in letters
        for other in letters
        if one < other
    )
    of = [*packages(said.splitlines(keepends=True))]

    words, names = described(of, 20), mistyped(of, 20)

    by_name = dict(of)
    assert len(words) == len(names) == 20
    for query, package in words:
        assert set(query.split()) <= set(words_of(str(by_name[package]["summary"])))
        assert not {"the", "common"} & set(query.split())
    assert all(query != package for query, package in names)
    assert words == described(of, 20)
