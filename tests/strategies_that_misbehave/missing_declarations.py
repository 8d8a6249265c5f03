"""Declares a name and nothing else."""

NAME = "missing_declarations"


def quote(view, params, memory, quotes):
    return 0
