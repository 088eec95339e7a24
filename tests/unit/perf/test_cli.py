"""The command line: what is understood and what is refused."""

from pathlib import Path

import pytest

from inferd_perf.cli import main, parser


def refused(*words: str) -> None:
    with pytest.raises(SystemExit) as exit_info:
        parser().parse_args(words)
    assert exit_info.value.code == 2


def test_a_run_is_an_open_or_a_closed_loop() -> None:
    refused("run", "--model=m")
    refused("run", "--model=m", "--rate=1", "--concurrency=1")

    args = parser().parse_args(["run", "--model=m", "--rate=1"])

    assert (args.rate, args.concurrency) == (1.0, None)


@pytest.mark.parametrize(
    "word", ["--rate=0", "--rate=inf", "--rate=nan", "--rows=0", "--duration-s=0", "--warmup-s=-1"]
)
def test_numbers_that_bound_nothing_are_refused(word: str) -> None:
    refused("run", "--model=m", "--rate=1", word)


def test_shapes_are_read_by_name() -> None:
    args = parser().parse_args(
        ["run", "--model=m", "--rate=1", "--shape=a=1,64", "--shape=b=2", "--warmup-s=0"]
    )

    assert dict(args.shape) == {"a": (1, 64), "b": (2,)}


@pytest.mark.parametrize("text", ["a", "a=", "a=1,x"])
def test_a_shape_that_is_none_is_refused(text: str) -> None:
    refused("run", "--model=m", "--rate=1", f"--shape={text}")


def test_a_comparison_reads_its_sides() -> None:
    args = parser().parse_args(
        ["compare", "--model=m", "--server=x=serve {port}", "--baseline=plain", "--baseline=raw"]
    )

    assert args.server.command == "serve {port}"
    assert [side.name for side in args.baseline] == ["plain", "raw"]


def test_the_server_under_test_is_inferd_unless_told() -> None:
    assert parser().parse_args(["compare", "--model=m"]).server.name == "inferd"


def test_an_unknown_side_is_refused() -> None:
    refused("compare", "--model=m", "--server=nobody")


@pytest.mark.parametrize(
    "words",
    [
        ["compare"],
        ["closed"],
        ["overload", "--find-capacity"],
        ["curve"],
        ["validate"],
        ["churn"],
        ["soak"],
    ],
    ids=lambda words: words[0],
)
def test_a_missing_model_says_how_to_build_it(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([*words, "--model=m", f"--repository={tmp_path}"])

    assert code == 1
    assert "inferd-perf models" in capsys.readouterr().err


def test_transports_take_turns_in_the_order_given() -> None:
    args = parser().parse_args(["closed", "--model=m", "--transport=envoy,grpcio"])

    assert args.transport == ["envoy", "grpcio"]


def test_concurrencies_are_listed_with_commas() -> None:
    args = parser().parse_args(["compare", "--model=m", "--concurrency=64,256,1"])

    assert args.concurrency == [64, 256, 1]


@pytest.mark.parametrize(
    "word", ["--transport=carrier_pigeon", "--transport=envoy,envoy", "--concurrency=1,,2"]
)
def test_lists_that_say_nothing_or_the_same_twice_are_refused(word: str) -> None:
    refused("closed", "--model=m", word)


def test_an_overload_has_rates_or_finds_the_capacity() -> None:
    refused("overload", "--model=m")
    refused("overload", "--model=m", "--rates=1", "--find-capacity")

    args = parser().parse_args(["overload", "--model=m", "--rates=1000,2500.5"])

    assert args.rates == [1000.0, 2500.5]
    assert args.mix == {"": 1.0}


def test_a_mix_names_classes_and_the_rest_says_nothing() -> None:
    def mixed(text: str) -> dict[str, float]:
        args = parser().parse_args(["overload", "--model=m", "--rates=1", f"--mix={text}"])
        found: dict[str, float] = args.mix
        return found

    assert mixed("SHEDDABLE=0.25,CRITICAL_PLUS=0.25") == {
        "": 0.5,
        "SHEDDABLE": 0.25,
        "CRITICAL_PLUS": 0.25,
    }
    assert mixed("SHEDDABLE=0.7,CRITICAL=0.3") == {"SHEDDABLE": 0.7, "CRITICAL": 0.3}


@pytest.mark.parametrize(
    "text", ["", "SHEDDABLE", "URGENT=0.1", "SHEDDABLE=0.1,SHEDDABLE=0.1", "SHEDDABLE=1.1"]
)
def test_a_mix_that_cannot_be_is_refused(text: str) -> None:
    refused("overload", "--model=m", "--rates=1", f"--mix={text}")


@pytest.mark.parametrize(
    "command",
    ["run", "compare", "closed", "overload", "curve", "validate", "churn", "soak", "models"],
)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main([command, "--help"])

    assert exit_info.value.code == 0
    assert "usage: inferd-perf" in capsys.readouterr().out
