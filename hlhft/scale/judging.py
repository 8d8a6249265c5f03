"""`hlhft evaluate` as tasks: the rivals of a fold, fitted for a label, are one, and each piece of a model's answers.

The log of trials stays with the client, which opens the test block and names its rows to the tasks; what a task gives
is what the same function gives here, so an evaluation is the same to the byte on the same kind of processor. On another
one, the last digits of a network's and of LightGBM's answers may differ, and a worker with another processor is not
used.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from hlhft.alpha.baselines import Settings
from hlhft.alpha.dataset import Dataset, open_dataset
from hlhft.alpha.evaluation.evaluating import Fold, Options, RivalsSaid, Subject, rivals_of
from hlhft.alpha.evaluation.rows import Calls
from hlhft.alpha.evaluation.subjects import BATCH
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.splits import Block, Split
from hlhft.scale.revision import revision
from hlhft.scale.running import Ran
from hlhft.scale.storage import Storage
from hlhft.scale.task import Task
from hlhft.scale.worker import Job

TASKS = ("fit_rivals", "ask_model")
PIECE_ROWS = 64 * BATCH  # a model's answers of one task; whole batches, so that they are cut as they are in one process
_DATA, _MODEL, _ROWS = "data/", "model/", "rows"


class Where(Protocol):
    """Where tasks are run, and told of while they are."""

    storage: Storage

    def run(self, what: str, tasks: Sequence[Task]) -> Ran:
        """All tasks, done. Raises TasksFailed where one failed for good, and what the back-end raises."""


class Judging:
    """Asks model and rivals on a back-end, as `hlhft.alpha.evaluation.folder.Elsewhere` says."""

    def __init__(self, where: Where, folder: Path, *, engine: str, threads: int) -> None:
        """`folder` is the model's own. Raises StorageError and OSError."""
        self._where = where
        self._asked = {"engine": engine, "threads": threads}
        self._model = {
            _MODEL + path.name: where.storage.put_file(path) for path in sorted(folder.iterdir()) if path.is_file()
        }
        self._data: dict[str, str] = {}
        self._data_of = ""

    def ask_rivals(
        self, dataset: Dataset, folds: Sequence[Fold], column: int, options: Options
    ) -> Sequence[RivalsSaid]:
        """A task a fold, of this label and the seed of the options. Raises as `Where.run`."""
        inputs = self._inputs(dataset)
        params = {"column": column, "rivals": list(options.rivals), "fitting": asdict(options.fitting)}
        tasks = [
            Task(
                function="hlhft.scale.judging:fit_rivals",
                params=params,
                inputs={**inputs, _ROWS: self._where.storage.put_bytes(_packed_fold(fold))},
                seed=options.fitting.seed,
                revision=revision(models=True),
            )
            for fold in folds
        ]
        label = dataset.labels[column].name
        return [unpacked_said(one) for one in self._where.run(f"Fitting the rivals for {label}", tasks).results()]

    def asked(self, subject: Subject, dataset: Dataset, rows: np.ndarray) -> Subject:
        """The subject's answers for the sorted rows int64[n], asked in pieces of PIECE_ROWS. Raises as `Where.run`."""
        inputs = {**self._inputs(dataset), **self._model}
        tasks = [
            Task(
                function="hlhft.scale.judging:ask_model",
                params=self._asked,
                inputs={**inputs, _ROWS: self._where.storage.put_bytes(packed(rows[first : first + PIECE_ROWS]))},
                revision=revision(models=True),
            )
            for first in range(0, len(rows), PIECE_ROWS)
        ]
        pieces = [unpacked(one) for one in self._where.run("Asking the model", tasks).results()]
        p, mu_bp = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
        return Answered(subject.name, subject.title, subject.labels, rows, p, mu_bp)

    def _inputs(self, dataset: Dataset) -> dict[str, str]:
        """The dataset's files in the storage, put there once."""
        if self._data_of != dataset.key:
            files = sorted(path for path in dataset.folder.iterdir() if path.is_file())
            self._data = {_DATA + path.name: self._where.storage.put_file(path) for path in files}
            self._data_of = dataset.key
        return self._data


@dataclass(frozen=True, slots=True)
class Answered:
    """A subject that was asked about some rows already."""

    name: str
    title: str
    labels: Sequence[LabelSpec]
    rows: np.ndarray
    p: np.ndarray
    mu_bp: np.ndarray

    def predict(self, dataset: Dataset, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What it said of these rows, which are among those that it was asked about."""
        places = np.searchsorted(self.rows, ends)
        assert (self.rows[np.minimum(places, len(self.rows) - 1)] == ends).all(), "it was asked about these rows"
        return self.p[places], self.mu_bp[places]


def fit_rivals(job: Job) -> bytes:
    """The task: what the rivals of a fold, fitted on its blocks, say of its rows, as `packed_said`."""
    fitting = msgspec.convert(job.params["fitting"], Settings)
    options = Options(rivals=tuple(job.params["rivals"]), fitting=fitting)
    with _dataset(job) as dataset:
        fold = _unpacked_fold(job.input(_ROWS).read_bytes())
        said = rivals_of(dataset, fold, int(job.params["column"]), options)
        job.log.info("%d rivals on %d rows", len(said.calls), len(fold.rows))
        return packed_said(said)


def ask_model(job: Job) -> bytes:
    """The task: p float64[n, H, 3] and mu_bp float64[n, H] of the model for some rows, as `packed`."""
    from hlhft.alpha.bundle import load_bundle, predictor
    from hlhft.alpha.evaluation.subjects import BundleSubject

    with _dataset(job) as dataset, _linked(job, _MODEL) as folder:
        bundle = load_bundle(folder)
        loaded = predictor(bundle, folder, engine=job.params["engine"], threads=job.params["threads"])
        (rows,) = unpacked(job.input(_ROWS).read_bytes())
        return packed(*BundleSubject(bundle, loaded, lambda done, total: job.check()).predict(dataset, rows))


@contextmanager
def _dataset(job: Job) -> Iterator[Dataset]:
    with _linked(job, _DATA) as folder:
        yield open_dataset(folder)


@contextmanager
def _linked(job: Job, prefix: str) -> Iterator[Path]:
    """A folder in which the inputs of that prefix have their own names."""
    with tempfile.TemporaryDirectory(prefix="hlhft-task-") as folder:
        for name in job.inputs:
            if name.startswith(prefix):
                Path(folder, name.removeprefix(prefix)).symlink_to(job.input(name).resolve())
        yield Path(folder)


def _packed_fold(fold: Fold) -> bytes:
    """What fitting needs of a fold: the rows of its blocks, and those to be judged."""
    split = fold.split
    return packed(split.train.rows, split.stop.rows, split.calibrate.rows, fold.rows)


def _unpacked_fold(content: bytes) -> Fold:
    train, stop, calibrate, rows = unpacked(content)
    split = Split(
        train=Block("train", (), train), stop=Block("stop", (), stop), calibrate=Block("calibrate", (), calibrate),
        test=Block("test", (), rows), embargo_ns=0, length=0, horizon=None, key="",
    )  # fmt: skip
    return Fold(split, rows)


def packed_said(said: RivalsSaid) -> bytes:
    """As bytes, the same for the same values."""
    arrays = [said.prior, *(values for _, calls in said.calls.values() for values in calls)]
    names = [[name, title] for name, (title, _) in said.calls.items()]
    return msgspec.msgpack.encode([names, said.missing, packed(*arrays)])


def unpacked_said(content: bytes) -> RivalsSaid:
    """What `packed_said` packed."""
    names, missing, arrays = msgspec.msgpack.decode(content)
    prior, *values = unpacked(arrays)
    width = len(Calls._fields)
    calls = {
        name: (title, Calls(*values[place * width : (place + 1) * width])) for place, (name, title) in enumerate(names)
    }
    return RivalsSaid(calls, prior, missing)


def packed(*arrays: np.ndarray) -> bytes:
    """Arrays one after the other, each as numpy's own format has it; the same bytes for the same values."""
    out = io.BytesIO()
    for values in arrays:
        np.save(out, np.ascontiguousarray(values), allow_pickle=False)
    return out.getvalue()


def unpacked(content: bytes) -> list[np.ndarray]:
    """What `packed` packed."""
    source, found = io.BytesIO(content), []
    while source.tell() < len(content):
        found.append(np.load(source, allow_pickle=False))
    return found
