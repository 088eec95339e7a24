"""The process: reads the configuration, builds every part once, owns start, drain and signals."""

from inferd.app.cli import main

__all__ = ["main"]
