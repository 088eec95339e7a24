"""How services that are not part of this package are found."""

import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from inferd.app.extensions import extensions
from inferd.app.settings import ConfigError
from inferd.config import Server
from inferd.config.resilience import Cascade, Resilience, Rung, Stage
from inferd.services.extension import Host, Service
from support.guards import a_toolbox

SAY = "/shop.Say/Say"

GOOD = """
from inferd.services.extension import Service

NOT_A_FUNCTION = 1


def services(host):
    return [Service("a descriptor", host)]


def more(host):
    yield Service("another descriptor", host)
    yield Service("a third", host)
"""
STAGED = f"""
from inferd.config.resilience import Cascade, Rung, Stage

CASCADE = Cascade(stages=(Stage(name="score", ladder=(Rung(name="rule"),)),))


async def rule(call, deadline):
    return 1


def services(host):
    host.toolbox.endpoint("{SAY}", CASCADE).stage("score", rule=rule)
    return []
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where modules can be imported from."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def a_host(resilience: Resilience | None = None) -> Host:
    settings = resilience or Resilience()
    toolbox = a_toolbox(time.monotonic, cascades=settings.cascades)
    models: Any = None
    return Host(models, toolbox, None, options={}, clock=time.monotonic, closing=AsyncExitStack())


def problem(*names: str, host: Host | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        extensions(names, host or a_host())
    return str(caught.value)


def test_functions_are_found_by_name_and_get_the_host(modules: Path) -> None:
    (modules / "a_good_one.py").write_text(GOOD)
    host = a_host()

    found = extensions(["a_good_one:services", "a_good_one:more"], host)

    assert found == [
        Service(each, host)  # type: ignore[arg-type]
        for each in ("a descriptor", "another descriptor", "a third")
    ]


def test_without_any_there_are_none() -> None:
    assert extensions([], a_host()) == []


def test_a_module_that_is_not_there_is_named_and_where_it_is_looked_for() -> None:
    assert problem("no_such_module:services") == (
        "server.services: cannot import no_such_module (No module named 'no_such_module');"
        " is it in PYTHONPATH?"
    )


def test_what_a_module_lacks_itself_is_named(modules: Path) -> None:
    (modules / "a_poor_one.py").write_text("import no_such_module")

    assert "cannot import a_poor_one (No module named 'no_such_module')" in problem("a_poor_one:x")


@pytest.mark.parametrize("name", ["service", "NOT_A_FUNCTION"])
def test_a_function_that_is_not_there_is_named(modules: Path, name: str) -> None:
    (modules / "another_good_one.py").write_text(GOOD)

    assert problem(f"another_good_one:{name}") == (
        f"server.services: another_good_one has no function {name}"
    )


@pytest.mark.parametrize(
    ("stage", "rung", "complaint"),
    [
        ("scroe", "rule", f"{SAY} has no stage score; there are scroe"),
        ("score", "ruel", f"stage score of {SAY} has no rung ruel; there are rule"),
    ],
)
def test_a_configured_cascade_that_does_not_fit_is_the_configurations_mistake(
    modules: Path, stage: str, rung: str, complaint: str
) -> None:
    name = f"staged_{stage}_{rung}"
    (modules / f"{name}.py").write_text(STAGED)
    cascade = Cascade(stages=(Stage(name=stage, ladder=(Rung(name=rung),)),))
    host = a_host(Resilience(cascades={SAY: cascade}))

    assert problem(f"{name}:services", host=host) == f"resilience.cascades: {complaint}"


@pytest.mark.parametrize("name", ["cascade", "cascade.ranking", "a:b:c", "a b:c", ":services"])
def test_a_name_is_a_module_and_a_function(name: str) -> None:
    with pytest.raises(ValidationError, match="services"):
        Server(services=(name,))
