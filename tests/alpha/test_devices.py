"""Where torch computes."""

from __future__ import annotations

import pytest
import torch

from hlhft.alpha.devices import DeviceError, chosen_device

pytestmark = pytest.mark.alpha


def test_the_processor_is_always_there() -> None:
    assert chosen_device("cpu") == "cpu"


@pytest.mark.gpu
def test_a_gpu_is_chosen_where_there_is_one() -> None:
    if not torch.cuda.is_available():
        pytest.skip("NOT TESTED on a GPU: torch sees none")
    assert chosen_device("auto") == chosen_device("cuda") == "cuda"


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="there is no CUDA GPU that torch can use here, give --device cpu"):
        chosen_device("cuda")
    assert chosen_device("auto") == "cpu"
