"""Expressions are checked when they are compiled; what goes wrong later gives no value."""

import math
import sys

import pytest

from inferd.features.compute.expressions import BadExpression, Expression
from inferd.features.kinds import Held, Kind

VARIABLES = {
    "profile.age": Kind("int64"),
    "profile.income": Kind("float64"),
    "profile.premium": Kind("bool"),
    "profile.taste": Kind("float_list", 2),
    "profile.raw": Kind("bytes"),
    "request.country": Kind("string"),
}
VALUES: dict[str, Held | None] = {
    "profile.age": 40,
    "profile.income": 2.5,
    "profile.premium": True,
    "profile.taste": (0.5, 1.5),
    "profile.raw": b"\x00\xff",
    "request.country": "DE",
}


def evaluated(text: str, **changed: Held | None) -> Held | None:
    changes = {name.replace("__", "."): value for name, value in changed.items()}
    return Expression.compile(text, VARIABLES).evaluate({**VALUES, **changes})


@pytest.mark.parametrize(
    ("text", "result", "value"),
    [
        ("profile.age + 2", "int64", 42),
        ("profile.income * double(profile.age)", "float64", 100.0),
        ("profile.premium && request.country in ['DE', 'AT']", "bool", True),
        ("profile.premium ? 'gold' : 'none'", "string", "gold"),
        ("request.country + '\\u0000é'", "string", "DE\0é"),
        ("request.country.startsWith('D')", "bool", True),
        ("request.country.matches('^[A-Z]{2}$')", "bool", True),
        ("profile.raw", "bytes", b"\x00\xff"),
        ("profile.taste", "float_list", (0.5, 1.5)),
        ("profile.taste.map(each, each * 2.0)", "float_list", (1.0, 3.0)),
        ("profile.taste[1]", "float64", 1.5),
        ("size(profile.taste)", "int64", 2),
        ("profile.taste.exists(each, each > 1.0)", "bool", True),
        ("1 + 1", "int64", 2),
        ("profile.income / 0.0", "float64", math.inf),
    ],
)
def test_an_expression_has_a_type_and_a_value(text: str, result: str, value: Held) -> None:
    expression = Expression.compile(text, VARIABLES)

    assert expression.result == result
    assert expression.evaluate(VALUES) == value
    assert type(expression.evaluate(VALUES)) is type(value)


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("profile.age > 1 || profile.age < 0", ("profile.age",)),
        ("request . country + 'profile.age'", ("request.country",)),
        ('request.country + "\\"profile.age" + r"a.*"', ("request.country",)),
        ("request.country + '''it's profile.age'''", ("request.country",)),
        ("profile.age // profile.income", ("profile.age",)),
        ("request.country.size() + profile.age", ("request.country", "profile.age")),
        ("true", ()),
    ],
)
def test_it_refers_to_what_its_code_names(text: str, references: tuple[str, ...]) -> None:
    assert Expression.compile(text, VARIABLES).references == references


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("profile.agee + 1", "reference to 'profile.agee'; did you mean profile.age"),
        ("1 + profil.age", r"'profil.age'; did you mean profile.age.* \(line 1, column 11\)"),
        ("profile.income + 1", r"no matching overload for '_\+_' applied to '\(double, int\)'"),
        ("profile.age > 1.0", r"'\(int, double\)'; they do not mix: write double\(x\)"),
        ("profile.age.days", "expression of type 'int' cannot be the operand of a select"),
        ("nonsense(1)", "undeclared reference to 'nonsense'"),
        ("profile.premium ? 1 : 'a'", "no matching overload"),
        ("1 +\n", r"Syntax error: .* \(line 2, column 1\)"),
        ("a.b + c.d", "'a.b'.*; .*'c.d'"),
        ("null", "its result is null"),
        ("dyn(1)", "its result is dyn"),
        ("timestamp(0)", "its result is timestamp"),
        ("[1]", "its result is list<int>"),
        ("(" * 1000 + "1" + ")" * 1000, "recursion limit"),
        ("'\ud800'", "surrogates not allowed"),
    ],
)
def test_what_is_wrong_is_told_when_it_is_compiled(text: str, message: str) -> None:
    with pytest.raises(BadExpression, match=f"(?s){message}"):
        Expression.compile(text, VARIABLES)


def test_without_variables_a_misspelt_one_is_told_too() -> None:
    with pytest.raises(BadExpression, match=r"undeclared reference to 'a\.b'; there are none"):
        Expression.compile("a.b", {})


@pytest.mark.parametrize(
    "text",
    [
        "profile.age / 0",
        "profile.age % 0",
        "profile.age + 9223372036854775807",
        "profile.taste[7]",
        "int(request.country)",
        "int(1e300)",
        "request.country.matches('(' + '')",
    ],
)
def test_what_cannot_be_evaluated_has_no_value(text: str) -> None:
    assert evaluated(text) is None


def test_null_can_be_asked_for_and_not_be_computed_with() -> None:
    missing: dict[str, Held | None] = {"profile__age": None, "profile__taste": None}

    assert evaluated("profile.age == null ? -1 : profile.age", **missing) == -1
    assert evaluated("profile.age == null ? -1 : profile.age") == 40
    assert evaluated("profile.age + 1", **missing) is None
    assert evaluated("profile.age", **missing) is None
    assert evaluated("profile.age > 18 || true", **missing) is True
    assert evaluated("dyn(profile.taste) == null", **missing) is True


def test_what_the_library_does_not_take_whole_gives_no_value() -> None:
    assert evaluated("request.country == 'DE'", request__country="DE\0") is None
    assert evaluated("request.country + 'a'", request__country="\ud800") is None


def test_without_the_library_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)

    with pytest.raises(BadExpression, match=r"needs inferd\[cel\]"):
        Expression.compile("1", {})
