"""`inferd experiments` as its users have it, on the records of a server."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from inferd.app import main
from inferd.app.experiments import made
from inferd.config import Config
from support.experiments import HOME, experiment, text


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """Return a configuration with 300 users on record, of whom those treated click more."""
    said = {
        "definitions": "experiments.yaml",
        "stops": "stopped.json",
        "exposures": {"path": "exposures"},
        "outcomes": {"path": "outcomes"},
    }
    (tmp_path / "experiments.yaml").write_text(text(experiment()))
    path = tmp_path / "inferd.json"
    path.write_text(json.dumps({"experiments": said}))
    asyncio.run(recorded(tmp_path, said))
    return path


async def recorded(directory: Path, said: dict[str, Any]) -> None:
    whole = {
        key: {"path": directory / value["path"]} if isinstance(value, dict) else directory / value
        for key, value in said.items()
    }
    there = made(Config.model_validate({"experiments": whole}), [HOME])
    assert there is not None
    async with there.running():
        assign = there.in_force.surfaces["home"].assign
        for number in range(300):
            unit = {"user_id": f"user-{number}"}
            found = assign(unit, {})
            there.exposures.used(found, unit)
            await asyncio.sleep(0)
            if number % (2 if found.arms[0].arm == "treatment" else 5) == 0:
                there.outcomes.happened("user_id", unit["user_id"], "click")


def test_a_report_is_made_of_what_is_on_record(
    configuration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["experiments", "report", "--config", str(configuration)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mmr, revision 1: 300 units"
    assert any("conversion" in line and "treatment" in line for line in lines)


def test_a_report_for_programs_has_all_figures(
    configuration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--config", str(configuration), "--json", "--ratio", "click/click"]

    assert main(["experiments", "report", *arguments, "--experiment", "mmr"]) == 0

    (found,) = json.loads(capsys.readouterr().out)
    assert sum(arm["units"] for arm in found["arms"]) == 300
    conversion, mean, ratio = found["metrics"]
    assert [conversion["kind"], mean["kind"], ratio["kind"]] == ["conversion", "mean", "ratio"]
    against = conversion["arms"][1]["against_control"]
    assert against["interval"][0] > 0, "30 points more, of 150 each"
    assert against["p"] < against["always_p"] < 0.05


def test_arms_of_wrong_sizes_exit_with_1(
    configuration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = [{"name": "control", "weight": 0.9}, {"name": "treatment", "weight": 0.1}]
    (configuration.parent / "experiments.yaml").write_text(text(experiment(arms=arms)))

    assert main(["experiments", "report", "--config", str(configuration)]) == 1

    assert capsys.readouterr().out.startswith("INVALID: mmr, revision 1: ")


def test_a_changed_record_is_left_out_and_told_of(
    configuration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = configuration.parent / "exposures" / "inferd.000000000001.jsonl"
    log.write_text(log.read_text().replace('"id":"user-7"', '"id":"user-8"'))

    assert main(["experiments", "report", "--config", str(configuration)]) == 0

    said = capsys.readouterr()
    assert said.out.startswith("mmr, revision 1: 299 units")
    assert "left out: it was changed" in said.err


def test_an_experiment_that_is_not_on_record_is_something_to_fix(
    configuration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--config", str(configuration), "--experiment", "other"]

    assert main(["experiments", "report", *arguments]) == 2

    assert "other is not on record; there are mmr" in capsys.readouterr().err


def test_without_records_there_is_nothing_to_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["experiments", "report"]) == 0

    assert capsys.readouterr().out == "no exposures are on record\n"


def test_the_selftest_says_how_often_it_was_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiments", "selftest", "--runs", "20"]) == 0

    said = capsys.readouterr().out
    assert said.startswith("20 experiments in which nothing differs, at alpha = 0.05:")
    assert said.endswith("as it should be\n")


@pytest.mark.parametrize(
    "wrong", [["--alpha", "1"], ["--alpha", "x"], ["--ratio", "click"], ["--ratio", "/click"]]
)
def test_what_cannot_be_asked_is_refused(configuration: Path, wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["experiments", "report", "--config", str(configuration), *wrong])
