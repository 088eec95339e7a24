"""Any text is an expression or is refused; any values give a value of its type, or none."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inferd.features.compute.expressions import BadExpression, Expression
from inferd.features.kinds import Held, Kind

VARIABLES = {
    "v.i": Kind("int64"),
    "v.f": Kind("float64"),
    "v.b": Kind("bool"),
    "v.s": Kind("string"),
    "v.y": Kind("bytes"),
    "v.l": Kind("float_list", 2),
}
VALUES = st.fixed_dictionaries(
    {
        "v.i": st.none() | st.integers(-(2**63), 2**63 - 1),
        "v.f": st.none() | st.floats(),
        "v.b": st.none() | st.booleans(),
        "v.s": st.none() | st.text(),
        "v.y": st.none() | st.binary(),
        "v.l": st.none() | st.tuples(st.floats(), st.floats()),
    }
)
PIECES = st.sampled_from(
    [
        *VARIABLES,
        "v.x",
        *" +-/%?:()[].,\n\"'",
        "==",
        "&&",
        "//",
        "0",
        "1.5",
        "1u",
        "'a'",
        "r'",
        "null",
    ]
)
FUNCTIONS = st.sampled_from(["size", "double", "int", "string", "dyn", "has", "matches", "map"])
TEXTS = st.text() | st.lists(PIECES | FUNCTIONS, min_size=1, max_size=9).map("".join)
SOUND = {
    text: Expression.compile(text, VARIABLES)
    for text in (
        "v.i / (v.i - 1)",
        "v.f * 2.0 - double(v.i)",
        "v.b ? v.s : string(v.i)",
        "v.s + v.s",
        "v.y + bytes(v.s)",
        "v.l.map(x, x / v.f)",
        "int(v.f)",
        "v.s == null || v.s.contains('a')",
        "string(v.y)",
        "v.y",
    )
}
TYPES = {"int64": int, "float64": float, "bool": bool, "string": str, "bytes": bytes}


@given(TEXTS)
def test_any_text_is_an_expression_or_is_refused(text: str) -> None:
    try:
        expression = Expression.compile(text, VARIABLES)
    except BadExpression:
        return
    assert set(expression.references) <= set(VARIABLES)


@given(st.sampled_from([*SOUND]), VALUES)
def test_any_values_give_a_value_of_the_right_type_or_none(
    text: str, values: dict[str, Any]
) -> None:
    expression = SOUND[text]
    value: Held | None = expression.evaluate(values)

    assert value is None or type(value) is TYPES.get(expression.result, tuple)
    if text == "v.y":
        assert value == values["v.y"]
