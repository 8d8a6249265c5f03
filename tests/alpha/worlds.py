"""Small worlds, strategies and tasks that the tests of policies share."""

from __future__ import annotations

from dataclasses import replace

from hlhft.alpha.fleet import Task
from hlhft.alpha.paths import Path, World, simulate
from hlhft.backtest.session import Settings
from hlhft.strategies import load

A, K, SIGMA = 1.0, 0.7, 1.0

# GLFT for an inventory penalty alone, told the truth about intensities and always believing in one volatility.
TRUTHFUL: dict[str, str | float] = {
    "gamma": 0.05,
    "xi_share": 0.0,
    "order_notional_usdc": 500.0,
    "position_notional_usdc": 5000.0,
    "fee_coverage": 0.0,
    "micro_weight": 0.0,
    "funding_weight": 0.0,
    "signal_weight": 0.0,
    "volatility_bp_min": SIGMA,
    "volatility_bp_max": SIGMA,
    "volatility_bp_fallback": SIGMA,
    "intensity_a_min": A,
    "intensity_a_max": A,
    "intensity_a_fallback": A,
    "intensity_k_min": K,
    "intensity_k_max": K,
    "intensity_k_fallback": K,
}


def frictionless(**params: str | float) -> Settings:
    """GLFT without latency, fees or budgets: the theory's own assumptions."""
    return Settings(
        strategy=load("glft"),
        params={**TRUTHFUL, **params},
        latency="constant:0",
        fees="0,0",
        capital_micro=10**12,
        address_enforced=False,
    )


def real(strategy: str = "glft", *, latency: str = "blocks") -> Settings:
    """As a backtest has it: blocks, the fees of a new account, the defaults of the strategy but for wider risk."""
    settings = Settings(strategy=load(strategy), latency=latency, fees="1.5,4.5", capital_micro=10**10)
    return replace(settings, params={"gamma": 0.02})


def task(settings: Settings | None = None, **changes: float) -> Task:
    """A task of one decision a second."""
    return Task(settings=frictionless() if settings is None else settings, **{"eta": 0.025, **changes})


def path(seed: int = 1, **changes: float) -> Path:
    """A minute of a world."""
    return simulate(World(**{"seconds": 60.0, "intensity_k": K, **changes}), seed)[0]
