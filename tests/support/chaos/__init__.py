"""Breaks a running server in every way, and looks at what became of every single call.

    PYTHONPATH=tests:examples python -m support.chaos

`cells` says what is broken and how, `world` has the server and what it depends on, `generate` (a
process of its own) sends calls that wait for nobody, `trial` breaks something while they come, and
`verdict` judges the whole history. The table in docs/resilience.md is what came of it.
"""
