"""A search among parameters by Optuna: sets asked for in batches, run as a sweep's, and told what they made.

All of a batch is asked for before any of it is told, and each set's draws come from the seed and the set's number: so
the seed decides the search, wherever it runs, and one that was interrupted goes on as if it had not been. Its study is
named by everything that decides it, so what another search found never gets in.

A study lies in a journal file (on one machine or on NFS) or in PostgreSQL; one client at a time uses it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from hlhft.backtest.parameter_sets import SETS_MAX, SIGNIFICANT_DIGITS, Axis, ParameterSets, SweepError
from hlhft.core.strategies.common import COUNT
from hlhft.extra import OF_CLUSTERS, need
from hlhft.scale.revision import revision
from hlhft.scale.running import Ran
from hlhft.scale.sweeping import Sweeper, Table
from hlhft.strategies import Strategy
from hlhft.units import MICRO

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.storages import BaseStorage

BATCH = 32  # sets a batch: enough lanes for a pass, and few enough that the next batch knows something new
POSTGRESQL = ("postgresql", "postgres")

Progress = Callable[[int, int], None]
Run = Callable[[Sequence[Mapping[str, float]]], tuple[Table, Ran]]


class SearchError(Exception):
    """A study that cannot be opened, or that somebody else is using."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search asked for and what came of it."""

    parameters: ParameterSets
    table: Table
    interrupted: bool


def search(
    sweeper: Sweeper,
    axes: Sequence[Axis],
    study: str | Path,
    *,
    sets: int,
    seed: int,
    usual: Mapping[str, float] | None = None,
    run: Run | None = None,
    progress: Progress | None = None,
) -> Found:
    """Asks for `sets` sets of the `axes`, the most profitable under the first scenario being sought.

    `usual` stands for what no axis says; `run` runs a batch, `Sweeper.run` without another word; `progress(sets told,
    sets)` after each batch. A KeyboardInterrupt ends it, batches that were finished count. Raises MissingExtra without
    Optuna, SweepError, StrategyError, SearchError, TasksFailed and what the back-end raises.
    """
    need("a search", "optuna", how=OF_CLUSTERS)
    refuse(sweeper.settings.strategy, axes, sets)
    run = sweeper.run if run is None else run
    usual = dict(usual or {})
    asked: dict[bytes, dict[str, float]] = {}
    table, told, interrupted = Table(), 0, False
    with opened(study, _name(sweeper, axes, usual, seed)) as found:
        while told < sets and not interrupted:
            batch = _batch(found, sweeper.settings.strategy, axes, range(told, min(told + BATCH, sets)), seed)
            values = [{**usual, **one} for one in batch]
            distinct: dict[bytes, dict[str, float]] = {}
            for one in values:
                distinct.setdefault(sweeper.settings.strategy.params_bytes(one).tobytes(), one)
            part, ran = run([one for packed, one in distinct.items() if packed not in asked])
            interrupted = not ran.complete
            if interrupted:
                break
            table = table.merged(part)
            for packed, one in distinct.items():
                asked.setdefault(packed, one)
            profits = [_profit(sweeper, table, asked, one) for one in values]
            _tell(found, told, profits)
            told += len(batch)
            if progress is not None:
                progress(told, sets)
    parameters = ParameterSets(method="optuna", sets=tuple(asked.values()), repeated=told - len(asked))
    return Found(parameters=parameters, table=table, interrupted=interrupted)


def refuse(strategy: Strategy, axes: Sequence[Axis], sets: int) -> None:
    """Raises SweepError for what cannot be searched, StrategyError for values that the strategy refuses."""
    if not axes:
        raise SweepError("nothing to search among: give at least one --param name=low:high or name=value,value")
    if not 1 <= sets <= SETS_MAX:
        raise SweepError(f"{sets} sets cannot be searched: give 1 to {SETS_MAX}")
    for axis in axes:
        for end in (axis.low, axis.high) if axis.is_range else axis.values:
            strategy.params_bytes({axis.name: end})


def _profit(
    sweeper: Sweeper, table: Table, asked: Mapping[bytes, Mapping[str, float]], values: Mapping[str, Any]
) -> float:
    """What the set made under the first scenario in USDC; of equal sets the one that was run says it."""
    same = asked[sweeper.settings.strategy.params_bytes(values).tobytes()]
    known = table.of_set(len(sweeper.shards), same)
    assert known is not None, "its batch is complete"
    return int(known[0]["profit_micro"][0]) / MICRO


def _batch(study: Study, strategy: Strategy, axes: Sequence[Axis], numbers: range, seed: int) -> list[dict[str, float]]:
    """The sets of these numbers: as asked for before, else asked for now. Raises SearchError when they are not ours."""
    known = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    batch = []
    for number in numbers:
        if number in known:
            said: Mapping[str, Any] = known[number].params
        else:
            study.sampler = _sampler(seed, number)
            trial = study.ask()
            said = {axis.name: _suggested(trial, strategy, axis) for axis in axes} if trial.number == number else {}
        if len(said) < len(axes):
            raise SearchError(f"study {study.study_name} is used by somebody else: name another --study")
        batch.append({axis.name: _rounded(said[axis.name]) for axis in axes})
    return batch


def _sampler(seed: int, number: int) -> Any:
    """Optuna's own, its draws decided by seed and number; 31 bits, as numpy's seeds are."""
    from optuna.samplers import TPESampler

    digest = hashlib.blake2b(f"{seed} {number}".encode(), digest_size=4).digest()
    return TPESampler(seed=int.from_bytes(digest, "little") >> 1)


def _suggested(trial: Trial, strategy: Strategy, axis: Axis) -> float:
    if not axis.is_range:
        return float(trial.suggest_categorical(axis.name, [float(value) for value in axis.values]))
    low, high = float(axis.low), float(axis.high)
    if strategy.parameters[axis.name].unit == COUNT:
        return float(trial.suggest_int(axis.name, int(low), int(high), log=axis.is_logarithmic))
    return float(trial.suggest_float(axis.name, low, high, log=axis.is_logarithmic))


def _rounded(value: float) -> float:
    """A set is run as it is printed."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _tell(study: Study, first: int, profits: Sequence[float]) -> None:
    """Tells what is not told yet; a batch may have been told in part before an interrupt."""
    for number, profit in enumerate(profits, first):
        study.tell(number, profit, skip_if_finished=True)


def _name(sweeper: Sweeper, axes: Sequence[Axis], usual: Mapping[str, float], seed: int) -> str:
    """A study's name: a hash of everything that decides the search."""
    said = [
        {name: value for name, value in sweeper.settings.record().items() if name != "params"},
        [(*shard.told.span_ns(), [rows.blob for rows in shard.rows]) for shard in sweeper.shards],
        msgspec.to_builtins(list(sweeper.scenarios)),
        msgspec.to_builtins(list(axes)),
        dict(usual),
        seed,
        BATCH,
        revision(),
    ]
    text = msgspec.json.encode(said, order="deterministic")
    return f"hlhft-{hashlib.blake2b(text, digest_size=16).hexdigest()}"


@contextlib.contextmanager
def opened(study: str | Path, name: str) -> Iterator[Study]:
    """The study of that name in a journal file, made when it is not there, or at postgresql://[USER@]HOST[:PORT]/BASE.

    Raises SearchError for one that cannot be opened, and for an address with a password: libpq finds that in
    ~/.pgpass or in the file that PGPASSFILE names.
    """
    import optuna
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with contextlib.ExitStack() as stack:
            storage = _storage(str(study), stack)
            yield optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    except (StorageInternalError, SQLAlchemyError) as error:
        said = [*str(error.__cause__ or error).splitlines(), type(error).__name__]
        raise SearchError(f"the study at {study} cannot be used ({said[0]}): mend the address or the server") from None


def _storage(study: str, stack: contextlib.ExitStack) -> BaseStorage:
    """What keeps the study; its connections are closed with `stack`."""
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend
    from sqlalchemy.pool import NullPool

    parts = urlsplit(study)
    if parts.scheme not in POSTGRESQL:
        if "://" in study:
            raise SearchError(f"{parts.scheme}://… holds no study: give a file, or postgresql://USER@HOST/DATABASE")
        Path(study).parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(study))
    if parts.password or "password" in parts.query:
        raise SearchError(
            f"the address of the study at {parts.hostname} holds a password: leave it out, and put it into ~/.pgpass "
            "or the file that PGPASSFILE names"
        )
    need("a study in PostgreSQL", "psycopg", how="install psycopg[binary]")
    # Nothing is pooled, so that nothing is left open where even the first connection fails.
    url, options = study.replace(parts.scheme, "postgresql+psycopg", 1), {"poolclass": NullPool}
    kept = RDBStorage(url, engine_kwargs=options)
    stack.callback(kept.remove_session)
    return kept
