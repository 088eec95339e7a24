"""The command `inferd-perf simulate`."""

import json
from pathlib import Path

import pytest

from inferd_perf.cli import main
from inferd_perf.cli_simulate import table

SMALL = (
    "simulate", "--workload", "w1", "--load", "0.5,1.2", "--duration-s", "0.03",
    "--policy", "inferd-goodput",
)  # fmt: skip


def test_json_is_one_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--json"]) == 0

    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [(each["policy"], each["load"]) for each in cells] == [
        ("inferd-goodput", 0.5),
        ("inferd-goodput", 1.2),
    ]


def test_the_table_has_a_block_per_workload_and_load(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--seed", "1,2"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "w1 at 0.5x, 2 seed(s)"
    assert sum(line.strip().startswith("inferd-goodput") for line in lines) == 2


def test_the_table_says_where_there_is_no_figure() -> None:
    figures = dict.fromkeys(
        (
            "success", "goodput_of_capacity", "wasted_work", "reject_ms_p50", "reject_ms_p99",
            "slo_of_admitted", "p99_ms", "batch",
        ),
        0.5,
    )  # fmt: skip
    cell = {"policy": "fifo", "workload": "w1", "load": 1.0, "seed": 1, "p50_ms": None, **figures}

    assert " - " in table([cell])


@pytest.mark.parametrize("words", [("--policy", "lifo"), ("--workload", "w99")])
def test_unknown_names_are_refused_with_the_known(
    words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *words]) == 1
    assert "there are" in capsys.readouterr().err


def test_a_grid_can_be_cut_down(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--grid", "heldout", "--policy", "inferd-goodput", "--workload", "h1", "--load", "0.5"]

    assert main(["simulate", *words, "--seed", "11", "--duration-s", "0.05", "--json"]) == 0

    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [(each["workload"], each["seed"]) for each in cells] == [("h1", 11)]


def test_a_grid_without_such_cells_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--grid", "ci", "--workload", "h1"]) == 1
    assert "no such cells" in capsys.readouterr().err


def test_a_report_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--html", str(tmp_path / "report.html")]) == 0

    assert "<html" in (tmp_path / "report.html").read_text("utf-8")
    assert capsys.readouterr().out


def test_without_rivals_there_is_no_gate(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--gate"]) == 1
    assert "rival" in capsys.readouterr().err
