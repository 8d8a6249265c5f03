"""Where torch computes."""

from __future__ import annotations


class DeviceError(Exception):
    """A device that is asked for and not there."""


def chosen_device(name: str) -> str:
    """ "cpu" or "cuda" for `name` "cpu", "cuda" or "auto": a GPU, if there is one. Raises DeviceError for a GPU that is
    not there."""
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError("there is no CUDA GPU that torch can use here, give --device cpu")
    return "cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu"
