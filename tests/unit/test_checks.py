"""What a request declares is checked against the model, and all that is wrong is told at once."""

from typing import Any

import numpy as np
import pytest

from inferd.errors import InvalidRequest
from inferd.inference.checks import Checks, Declared, Fit, check_arrays
from inferd.runtime.signature import Signature
from support.fake_models import tensor

PAIR = Signature(
    (tensor("a", "FP32", -1, 2), tensor("b", "INT64", -1, -1)),
    (tensor("y", "FP32", -1, 1), tensor("z", "FP32", -1, 1)),
    4,
)
OPTIONAL = Signature(
    (tensor("a", "FP32", 2), tensor("b", "FP32", 2, optional=True)), (tensor("y", "FP32", 2),), 0
)
TRIPLE = Signature(tuple(tensor(f"INPUT{i}", "FP32", 2) for i in range(3)), (), 0)


def wrong(signature: Signature, *declared: Declared, **limits: int) -> dict[str, str]:
    """Return what is wrong, by field."""
    with pytest.raises(InvalidRequest) as refused:
        Checks("m", signature, **limits).check(declared)
    return {each.field: each.description for each in refused.value.violations}


def test_what_fits_has_rows_and_sizes() -> None:
    checks = Checks("m", PAIR)

    rows, fitted = checks.check([("b", "INT64", (3, 5)), ("a", "FP32", (3, 2))])

    assert rows == 3
    assert [(expected.name, fit) for expected, fit in fitted] == [
        ("b", Fit((3, 5), 3, 15, 120)),
        ("a", Fit((3, 2), 3, 6, 24)),
    ]


def test_strings_have_no_size_until_they_are_read() -> None:
    checks = Checks("m", Signature((tensor("s", "BYTES", -1, 2),), (), 4))

    _, [(_, fit)] = checks.check([("s", "BYTES", (1, 2))])

    assert fit == Fit((1, 2), 1, 2, -1)


def test_without_a_batch_dimension_a_request_is_one_row() -> None:
    assert Checks("m", OPTIONAL).check([("a", "FP32", (2,))])[0] == 1
    assert Checks("m", Signature((tensor("x", "FP32", -1),), (), 0)).check([("x", "FP32", (0,))])
    assert Checks("m", Signature((tensor("x", "FP32"),), (), 0)).check([("x", "FP32", ())])[0] == 1
    assert Checks("m", Signature((), (), 0)).check([]) == (1, [])


def test_more_rows_than_a_batch_are_accepted_and_split_later() -> None:
    assert Checks("m", PAIR).check([("a", "FP32", (9, 2)), ("b", "INT64", (9, 1))])[0] == 9


def test_optional_inputs_may_be_left_out_and_others_may_not() -> None:
    assert Checks("m", OPTIONAL).check([("a", "FP32", (2,)), ("b", "FP32", (2,))])
    assert wrong(OPTIONAL) == {
        "inputs": "expected number of inputs between 1 and 2 but got 0 inputs for model 'm'. Got "
        "input(s) [], but missing required input(s) ['a']. Please provide all required input(s)."
    }
    assert wrong(OPTIONAL, ("b", "FP32", (2,))) == {
        "inputs": "missing required input(s) ['a'] for model 'm'"
    }


def test_a_batch_needs_an_input_to_count_its_rows_by() -> None:
    all_optional = Signature((tensor("a", "FP32", -1, 2, optional=True),), (), 4)

    assert "at least one input" in wrong(all_optional)["inputs"]


def test_too_few_and_too_many_inputs_are_told_as_triton_does() -> None:
    assert wrong(TRIPLE, ("INPUT0", "FP32", (2,)))["inputs"] == (
        "expected 3 inputs but got 1 inputs for model 'm'. Got input(s) ['INPUT0'], but missing "
        "required input(s) ['INPUT1','INPUT2']. Please provide all required input(s)."
    )
    four: list[Declared] = [(f"INPUT{i}", "FP32", (2,)) for i in range(4)]
    assert wrong(TRIPLE, *four) == {
        "inputs": "expected 3 inputs but got 4 inputs for model 'm'",
        "inputs[3].name": "unexpected inference input 'INPUT3' for model 'm'",
    }


@pytest.mark.parametrize(
    ("declared", "field", "text"),
    [
        (
            [("a", "FP32", (1, 2)), ("q", "INT64", (1, 1))],
            "inputs[1].name",
            "unexpected inference input 'q' for model 'm'",
        ),
        (
            [("a", "FP32", (1, 2)), ("a", "FP32", (1, 2))],
            "inputs[1].name",
            "input 'a' already exists in request",
        ),
        (
            [("a", "FP64", (1, 2)), ("b", "INT64", (1, 1))],
            "inputs[0].datatype",
            "inference input 'a' data-type is 'FP64', but model 'm' expects 'FP32'",
        ),
        (
            [("a", "FP32", (1, 3)), ("b", "INT64", (1, 1))],
            "inputs[0].shape",
            "unexpected shape for input 'a' for model 'm'. Expected [-1,2], got [1,3]. NOTE: ",
        ),
        (
            [("a", "FP32", (2,)), ("b", "INT64", (1, 1))],
            "inputs[0].shape",
            "unexpected shape for input 'a' for model 'm'. Expected [-1,2], got [2]. NOTE: ",
        ),
        (
            [("a", "FP32", (1, 2)), ("b", "INT64", (1, -1))],
            "inputs[1].shape",
            "negative dimension in the shape [1,-1] of input 'b' for model 'm'",
        ),
        (
            [("a", "FP32", (1, 2)), ("b", "INT64", (2, 1))],
            "inputs[1].shape",
            "input 'b' batch size does not match other inputs for 'm'",
        ),
        (
            [("a", "FP32", (0, 2)), ("b", "INT64", (0, 1))],
            "inputs[0].shape",
            "inference request batch-size must be >= 1 for 'm', got 0 in input 'a' for model 'm'",
        ),
        (
            [("a", "FP32", (5, 2)), ("b", "INT64", (5, 0))],
            "inputs[1].shape",
            "inference request batch-size must be <= 4 for 'm' when its rows are empty",
        ),
    ],
)
def test_what_does_not_fit_is_named(declared: list[Declared], field: str, text: str) -> None:
    assert wrong(PAIR, *declared)[field].startswith(text)


def test_the_hint_at_the_batch_dimension_is_only_for_models_that_have_one() -> None:
    assert "max_batch_size" not in wrong(OPTIONAL, ("a", "FP32", (1, 2)))["inputs[0].shape"]


def test_all_that_is_wrong_is_told_at_once() -> None:
    problems = wrong(PAIR, ("a", "FP64", (1, 2)), ("b", "INT64", (1, 2, 3)), ("q", "FP32", (1,)))

    assert set(problems) == {"inputs", "inputs[0].datatype", "inputs[1].shape", "inputs[2].name"}


def test_the_message_says_the_first_three_and_how_many_more() -> None:
    many: list[Declared] = [(f"q{i}", "FP32", (1,)) for i in range(6)]

    with pytest.raises(InvalidRequest) as refused:
        Checks("m", PAIR).check(many)

    message = str(refused.value)
    assert message.startswith("expected 2 inputs but got 6 inputs for model 'm'; unexpected")
    assert message.endswith("; and 4 more")


@pytest.mark.parametrize("shape", [(3, 2**40), (0, 2**40), (2**62, 2**62), (101, 1)])
def test_the_limit_on_elements_has_no_way_around(shape: tuple[int, ...]) -> None:
    grid = Signature((tensor("x", "FP32", -1, -1),), (), 0)

    text = wrong(grid, ("x", "FP32", shape), max_elements=100)["inputs[0].shape"]

    assert text.startswith("input 'x' for model 'm' has ")
    assert text.endswith("the limit (inference.max_elements) is 100")
    assert Checks("m", grid, max_elements=100).check([("x", "FP32", (100, 1))])


def test_a_callers_words_are_cut_to_a_readable_size() -> None:
    text = wrong(OPTIONAL, ("a", "FP32", (1,) * 1000))["inputs[0].shape"]
    assert len(text) < 200
    assert len(wrong(OPTIONAL, ("q" * 10_000, "FP32", (2,)))["inputs[0].name"]) < 200
    a_thousand: list[Declared] = [(f"q{i}", "FP32", (2,)) for i in range(1000)]
    assert len(wrong(OPTIONAL, *a_thousand)) == 16


def test_shapes_are_told_right_however_many_there_were_before() -> None:
    checks = Checks("m", Signature((tensor("x", "UINT8", -1),), (), 0))

    sizes = [checks.check([("x", "UINT8", (n,))])[1][0][1].nbytes for n in range(600)]

    assert sizes == list(range(600))


def test_outputs_must_exist_and_be_asked_for_once() -> None:
    checks = Checks("m", PAIR)
    checks.check_outputs(["z", "y"])

    with pytest.raises(InvalidRequest) as refused:
        checks.check_outputs(["y", "q", "y"])

    assert [(each.field, each.description) for each in refused.value.violations] == [
        ("outputs[1].name", "unexpected inference output 'q' for model 'm'"),
        ("outputs[2].name", "more than one request for output 'y' for model 'm'"),
    ]


def test_arrays_of_an_in_process_caller_are_checked_alike() -> None:
    good: dict[str, Any] = {"a": np.zeros((3, 2), np.float32), "b": np.zeros((3, 1), np.int64)}
    assert check_arrays(PAIR, "m", good) == 3
    assert check_arrays(OPTIONAL, "m", {"a": np.zeros(2, np.float32)}) == 1

    with pytest.raises(InvalidRequest) as refused:
        check_arrays(PAIR, "m", {"a": np.zeros((3, 2)), "b": np.zeros((2, 1), np.int64)})

    assert [each.description for each in refused.value.violations] == [
        "inference input 'a' data-type is 'FP64', but model 'm' expects 'FP32'"
    ]


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"a": np.zeros((3, 2), np.float32)}, "missing required input(s) ['b']"),
        (
            {"a": np.zeros((3, 2), np.float32), "b": np.zeros((2, 1), np.int64)},
            "batch size does not match",
        ),
        (
            {"a": np.zeros((0, 2), np.float32), "b": np.zeros((0, 1), np.int64)},
            "batch-size must be >= 1",
        ),
        ({"a": np.zeros((1, 2), np.complex64)}, "data-type is 'complex64'"),
        (
            {name: np.zeros((1, 2), np.float32) for name in "abc"},
            "unexpected inference input 'c' for model 'm'",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_arrays(PAIR, "m", arrays)

    assert text in str(refused.value)


def test_the_bits_of_bf16_and_objects_for_strings_are_what_they_should_be() -> None:
    signature = Signature((tensor("x", "BF16", -1, 1), tensor("s", "BYTES", -1, 1)), (), 4)
    arrays = {"x": np.zeros((1, 1), np.uint16), "s": np.array([[b"s"]], np.object_)}

    assert check_arrays(signature, "m", arrays) == 1
