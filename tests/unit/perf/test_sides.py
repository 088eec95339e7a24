"""The parties of a comparison and their commands."""

import pytest

from inferd_perf.sides import BASELINES, KNOWN, TRANSPORTS, Side, side_of

VALUES = {
    "python": "py",
    "bin": "/bin",
    "baselines": "/b",
    "repository": "/with space/models",
    "model": "m",
    "threads": 2,
    "port": 1,
    "http_port": 2,
}


def test_known_sides_go_by_their_names() -> None:
    assert side_of("plain") is KNOWN["plain"]


def test_any_command_can_be_a_side() -> None:
    assert side_of("x=serve --a=b {port}") == Side("x", "serve --a=b {port}")


@pytest.mark.parametrize("text", ["nobody", "=serve", "x= "])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        side_of(text)


def test_a_path_with_a_space_stays_one_word() -> None:
    words = Side("x", "serve --repository {repository} 'a b'").words(VALUES)

    assert words == ["serve", "--repository", "/with space/models", "a b"]


@pytest.mark.parametrize("name", KNOWN)
def test_known_commands_use_only_known_placeholders(name: str) -> None:
    side = KNOWN[name]

    assert not any("{" in word for word in side.words(VALUES))
    assert not any("{" in text for text in side.variables(VALUES).values())


def test_inferd_runs_with_the_threads_of_the_baselines() -> None:
    assert KNOWN["inferd"].variables(VALUES) == {"INFERD__RUNTIME__INTRA_OP_THREADS": "2"}


@pytest.mark.parametrize("name", TRANSPORTS)
def test_a_transport_is_inferd_with_one_more_setting(name: str) -> None:
    inferd, side = KNOWN["inferd"], KNOWN[name]

    assert side.command == inferd.command
    assert side.environment == {**inferd.environment, "INFERD__SERVER__TRANSPORT": name}


def test_the_baselines_are_where_the_commands_say() -> None:
    assert {path.name for path in BASELINES.glob("*.py")} == {"plain.py", "raw.py"}
