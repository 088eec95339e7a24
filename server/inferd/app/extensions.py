"""Finds the services that the configuration names (`server.services`)."""

import importlib
from collections.abc import Iterable

from inferd.app.settings import ConfigError
from inferd.resilience.endpoint import BadCascade
from inferd.services.extension import Extension, Host, Service

KEY = "server.services"


def extensions(names: Iterable[str], host: Host) -> list[Service]:
    """Return the services that the functions of these names make.

    Raises `ConfigError` naming what is not there, or does not fit the configured cascades.
    """
    try:
        return [service for name in names for service in _found(name)(host)]
    except BadCascade as error:
        raise ConfigError([f"resilience.cascades: {error}"]) from error


def _found(name: str) -> Extension:
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        text = f"{KEY}: cannot import {module_name} ({error}); is it in PYTHONPATH?"
        raise ConfigError([text]) from error
    function: Extension | None = getattr(module, attribute, None)
    if not callable(function):
        raise ConfigError([f"{KEY}: {module_name} has no function {attribute}"])
    return function
