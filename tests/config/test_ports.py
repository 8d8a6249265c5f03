"""No two services share a port, and the settings' defaults come from the list."""

from __future__ import annotations

from hlhft.config import ports
from hlhft.config.live_sections import LOCAL_URL
from hlhft.config.settings import Config

ALL = {name: value for name, value in vars(ports).items() if name.isupper()}


def test_no_two_services_share_a_port() -> None:
    assert len(set(ALL.values())) == len(ALL)
    assert all(1024 <= port < 65_536 for port in ALL.values()), "none needs a privilege"


def test_the_settings_default_to_them() -> None:
    assert Config().metrics.port == ports.EXPORTER
    assert LOCAL_URL.endswith(f":{ports.EXCHANGE}")
