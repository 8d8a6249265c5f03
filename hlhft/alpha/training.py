"""Training of one network from one seed: weighted cross-entropy, stopped by later data, whole or resumed alike.

Everything that is fitted before the first step (standardisation, first bias, imbalance rule) is fitted on the train
block alone. The rate halves after each epoch that does not improve on the stop block, and training ends after
`patience` of them; the weights of the best epoch are what is kept. Draws are begun anew at each epoch from seed and
epoch, so a resumed run is the uninterrupted one.
"""

from __future__ import annotations

import hashlib
import logging
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hlhft.alpha.batches import JUDGED_BATCH, Batch, Batches, Int64, Summary, summarise
from hlhft.alpha.checkpoints import (
    Epoch,
    State,
    load_state,
    of_prefix,
    optimiser_numbers,
    prefixed,
    restore_optimiser,
    save_state,
)
from hlhft.alpha.dataset import CHUNK_ROWS, Dataset
from hlhft.alpha.devices import chosen_device
from hlhft.alpha.models.build import Network, build
from hlhft.alpha.models.config import CLASSES, ModelConfig
from hlhft.alpha.ranks import ALONE, Ranks, first_ones, gathered, mean_over
from hlhft.alpha.splits import Split
from hlhft.alpha.training_options import EPOCHS_MAX, SEEDS_MAX, TrainingError, TrainingOptions

Progress = Callable[[int, int], None]

STOP_SAMPLES_MAX = 65_536  # evenly over the stop block: what more of them would say, overlapping labels have said
RULE_PRIOR_ROWS = 20.0  # each knot of the imbalance rule starts with as many rows of the prior


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be learnt, and from what."""

    dataset: Dataset
    split: Split
    config: ModelConfig
    columns: Int64  # of the labels, one a horizon
    summary: Summary


@dataclass(frozen=True, slots=True)
class Fitted:
    """A seed's result, its weights those of the best epoch, on the CPU."""

    network: Network
    state: State

    @property
    def stop_nll(self) -> float:
        """Of the best epoch."""
        return self.state.history[self.state.best].stop_nll


def make_task(dataset: Dataset, split: Split, config: ModelConfig) -> Task:
    """The task of the split's horizon, or of all labels where it names none.

    Raises TrainingError when the blocks hold too little, one class only, or a feature that is no number.
    """
    columns = np.arange(len(dataset.labels)) if split.horizon is None else np.array([split.horizon])
    if config.horizons != len(columns) or config.length != split.length:
        raise TrainingError(
            f"the network has {config.horizons} horizons and windows of {config.length} rows, the split "
            f"{len(columns)} and {split.length}, give the same to both"
        )
    for block in (split.train, split.stop, split.calibrate):
        if not len(block.rows):
            raise TrainingError(f"{dataset.name}: the block {block.name} holds no window, record longer")
    return Task(dataset, split, config, columns.astype(np.int64), summarise(dataset, split.train.rows, columns))


def run_key(task: Task, options: TrainingOptions, ranks: Ranks = ALONE) -> str:
    """32 hexadecimal digits over data, split, network, options and, where there are several ranks, how many; how long
    and where it runs may change later."""
    rest = msgspec.structs.replace(options, epochs=1, patience=1, device="cpu", threads=0)
    content = [task.dataset.key, task.split.key, task.columns.tolist(), task.config, rest]
    content += [ranks.count] if ranks.count > 1 else []  # each brings a batch of its own
    digest = hashlib.blake2b(msgspec.json.encode(content), digest_size=16)
    digest.update(task.split.train.rows.astype("<i8").tobytes())
    return digest.hexdigest()


def fit(
    task: Task,
    options: TrainingOptions,
    *,
    seed: int,
    folder: Path | None = None,
    progress: Progress | None = None,
    ranks: Ranks = ALONE,
) -> Fitted:
    """Trains one seed, going on from the state in `folder` where there is one of this very run.

    `progress` is told (batches done, batches in all at most). Among several `ranks`, which are joined, all call this
    with the same arguments, each step is of a batch of all of them, and the first alone writes. Raises TrainingError
    when the loss is no number and when ranks find other states, CheckpointError for a state of another run,
    KeyboardInterrupt when interrupted; whole epochs are kept then.
    """
    device = chosen_device(options.device)
    key = run_key(task, options, ranks)
    network = prepared(task, seed)
    module = _Module(network, task, options, seed=seed, key=key, folder=folder, progress=progress, ranks=ranks)
    if folder is not None:
        found = load_state(folder, key=key, schema_hash=task.dataset.schema.hash, seed=seed)
        if found is not None:
            module.resume(*found)
    if len(set(gathered(ranks, module.state.sha256))) > 1:
        raise TrainingError(
            f"{folder}: ranks find different states of this run there, give a folder that all hosts share, or a new one"
        )
    if not module.is_done:
        with _threads(options.threads), _interrupts(), _quiet():
            _trainer(module, options, device, folder, ranks).fit(module, module.batches())
    network = build(task.config)
    network.load_state_dict(module.best)
    return Fitted(network.eval(), module.state)


def prepared(task: Task, seed: int) -> Network:
    """A network of this seed whose standardisation, first bias and rule are those of the train block."""
    network, summary = build(task.config, seed=seed), task.summary
    network.standardiser.mean.copy_(torch.from_numpy(summary.mean))
    network.standardiser.deviation.copy_(torch.from_numpy(summary.deviation))
    with torch.no_grad():
        if network.rule is None:
            network.head.bias.copy_(torch.from_numpy(np.log(summary.priors).reshape(-1)))
        else:
            network.rule.table.copy_(_rule_table(task, network))
    return network


def _rule_table(task: Task, network: Network) -> Tensor:
    """float32[KNOTS, horizons x 3]: logarithms of the classes' shares around each knot, smoothed by the prior."""
    dataset, rows, priors = task.dataset, task.split.train.rows, task.summary.priors
    assert network.rule is not None
    counts = np.zeros((len(network.rule.knots), len(task.columns), CLASSES))
    for first in range(0, len(rows), CHUNK_ROWS):
        part = rows[first : first + CHUNK_ROWS]
        imbalance = torch.from_numpy(np.array(dataset.values[part, task.config.imbalance_column]))
        shares = network.rule.shares(imbalance).double().numpy()
        for place, column in enumerate(task.columns):
            weights = dataset.weights[part, column].astype(np.float64) * task.summary.scales[place]
            told = np.eye(CLASSES)[dataset.classes[part, column]] * weights[:, None]
            counts[:, place] += shares.T @ told
    counts += RULE_PRIOR_ROWS * priors
    table = np.log(counts / counts.sum(axis=2, keepdims=True))
    return torch.from_numpy(table.reshape(len(counts), -1)).float()


def class_weights(priors: NDArray[np.float64], power: float) -> Tensor:
    """float32[H, 3]: inverse shares to a power, 1 in the mean over rows."""
    raised = priors**-power
    return torch.from_numpy(raised / (raised * priors).sum(axis=1, keepdims=True)).float()


def weighted_loss(logits: Tensor, batch: Batch, of_class: Tensor) -> Tensor:
    """Cross-entropy of all horizons, each row weighted by its uniqueness and class."""
    losses = functional.cross_entropy(logits.flatten(0, 1), batch.classes.flatten(), reduction="none")
    horizons = torch.arange(of_class.shape[0], device=of_class.device)
    return (losses.view_as(batch.weights) * batch.weights * of_class[horizons, batch.classes]).mean()


@torch.inference_mode()
def logits_of(network: Network, dataset: Dataset, ends: Int64, length: int, device: str = "cpu") -> NDArray[np.float32]:
    """float32[n, H, 3] of windows that end with these rows, in float32 whatever training ran in."""
    network.eval()
    found = [np.empty((0, network.config.horizons, CLASSES), np.float32)]
    for first in range(0, len(ends), JUDGED_BATCH):
        rows = torch.from_numpy(dataset.windows(ends[first : first + JUDGED_BATCH], length))
        found.append(network(rows.to(device)).float().cpu().numpy())
    return np.concatenate(found)


def thinned(rows: Int64, most: int) -> Int64:
    """At most so many of the rows, evenly."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


class _Module(lightning.LightningModule):
    """One seed's training for lightning, which moves batches, scales gradients and writes the tensorboard."""

    def __init__(
        self,
        network: Network,
        task: Task,
        options: TrainingOptions,
        *,
        seed: int,
        key: str,
        folder: Path | None,
        progress: Progress | None,
        ranks: Ranks,
    ) -> None:
        super().__init__()
        self.network = network
        self._task, self._options, self._seed, self._folder, self._progress = task, options, seed, folder, progress
        self._ranks = ranks
        self.register_buffer("_of_class", class_weights(task.summary.priors, options.class_weighting), persistent=False)
        self._average = {name: value.clone() for name, value in network.state_dict().items()}
        self.best: dict[str, Tensor] = {}
        self._restored: dict[str, Tensor] = {}
        self.state = State(key=key, schema_hash=task.dataset.schema.hash, seed=seed, history=(), numbers="", sha256="")
        self._stop_rows = thinned(task.split.stop.rows, STOP_SAMPLES_MAX)
        self._steps = len(next(self._epochs()))
        self._losses: list[Tensor] = []
        self._began_s = 0.0

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to do: stopped early, or as many epochs as asked for."""
        return len(self.state.history) >= self._options.epochs or self._is_stopped

    @property
    def _is_stopped(self) -> bool:
        return len(self.state.history) - 1 - self.state.best >= self._options.patience

    def _epochs(self) -> Iterator[Batches]:
        """The batches of the next epoch, and of each after it."""
        while True:
            yield Batches(
                self._task.dataset,
                self._task.split.train.rows,
                length=self._task.config.length,
                size=self._options.batch,
                columns=self._task.columns,
                scales=self._task.summary.scales,
                order=(self._seed, len(self.state.history)),
                samples_max=self._options.epoch_samples,
                ranks=self._ranks,
            )

    def batches(self) -> _Shuffled:
        """What lightning iterates over, anew each epoch."""
        return _Shuffled(self._epochs(), self._steps)

    def resume(self, state: State, numbers: dict[str, Tensor]) -> None:
        """Goes on from there."""
        self.state = state
        self.network.load_state_dict(of_prefix("network", numbers))
        self._average = of_prefix("average", numbers)
        self.best = of_prefix("best", numbers)
        self._restored = of_prefix("optimiser", numbers)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, with what it remembered where the run is resumed."""
        optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=self._options.learning_rate, weight_decay=self._options.weight_decay
        )
        if self._restored:
            restore_optimiser(optimiser, self._restored)
        return optimiser

    def on_train_epoch_start(self) -> None:
        """Draws and clock begin anew."""
        torch.manual_seed((self._ranks.rank * SEEDS_MAX + self._seed) * EPOCHS_MAX + len(self.state.history))
        self._average = {name: value.to(self.device) for name, value in self._average.items()}
        self._losses.clear()
        self._began_s = time.perf_counter()

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """The weighted loss of a batch, at the rate that the steps and epochs so far give."""
        step = len(self.state.history) * self._steps + index
        wasted = len(self.state.history) - 1 - self.state.best if self.state.history else 0
        rate = self._options.learning_rate * min(1.0, (step + 1) / max(self._options.warmup_steps, 1)) * 0.5**wasted
        for group in self.optimizers().param_groups:
            group["lr"] = rate
        loss = weighted_loss(self.network(batch.rows), batch, self._of_class)
        self._losses.append(loss.detach())
        if self._progress is not None:
            self._progress(step + 1, self._options.epochs * self._steps)
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        """Moves the averaged weights, faster at the start: the first draws are no part of an average worth having."""
        if self._options.averaging:
            step = len(self.state.history) * self._steps + len(self._losses)
            kept = min(self._options.averaging, (1.0 + step) / (10.0 + step))
            for name, value in self.network.state_dict().items():
                self._average[name].lerp_(value, 1.0 - kept)

    def on_train_epoch_end(self) -> None:
        """Judges on the stop block, keeps the best, and writes the state."""
        taken_s = max(time.perf_counter() - self._began_s, 1e-9)
        loss = mean_over(self._ranks, float(torch.stack(self._losses).mean()))
        judged = self._judged()
        # Computed by each, told by one: a last digit of difference would end training on some ranks and not on others.
        nll = first_ones(self._ranks, self._stop_nll(judged))
        if not (np.isfinite(loss) and np.isfinite(nll)):
            raise TrainingError(
                f"seed {self._seed}, epoch {len(self.state.history) + 1}: the loss is no number, give a lower "
                "learning rate"
            )
        samples = min(self._steps * self._options.batch * self._ranks.count, len(self._task.split.train.rows))
        epoch = Epoch(train_loss=loss, stop_nll=nll, samples_per_s=samples / taken_s)
        self.state = msgspec.structs.replace(self.state, history=(*self.state.history, epoch))
        if self.state.best == len(self.state.history) - 1:
            self.best = {name: value.detach().cpu().clone() for name, value in judged.items()}
        self._log(epoch)
        self._save()
        if self.is_done:
            self.trainer.should_stop = True

    def _judged(self) -> dict[str, Tensor]:
        return self._average if self._options.averaging else self.network.state_dict()

    def _stop_nll(self, weights: dict[str, Tensor]) -> float:
        """Mean over rows and horizons, unweighted: what later data say of the weights."""
        network = build(self._task.config)
        network.load_state_dict(weights)
        dataset, columns = self._task.dataset, self._task.columns
        logits = logits_of(
            network.to(self.device), dataset, self._stop_rows, self._task.config.length, str(self.device)
        )
        classes = dataset.classes[self._stop_rows[:, None], columns[None, :]].astype(np.int64)
        flat = torch.from_numpy(logits).flatten(0, 1).double()
        return float(functional.cross_entropy(flat, torch.from_numpy(classes).flatten()))

    def _log(self, epoch: Epoch) -> None:
        if self.logger is not None:
            for name, value in msgspec.structs.asdict(epoch).items():
                self.logger.experiment.add_scalar(name, value, len(self.state.history))

    def _save(self) -> None:
        if self._folder is not None and self._ranks.is_first:
            numbers = prefixed("network", self.network.state_dict()) | prefixed("best", self.best)
            numbers |= prefixed("average", self._average)
            numbers |= prefixed("optimiser", optimiser_numbers(self.optimizers().optimizer))
            self.state = save_state(self._folder, self.state, numbers)


class _Shuffled:
    """Batches that are other ones at each iteration, of a known number."""

    def __init__(self, epochs: Iterator[Batches], steps: int) -> None:
        self._epochs, self._steps = epochs, steps

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[Batch]:
        return iter(next(self._epochs))


def _trainer(
    module: _Module, options: TrainingOptions, device: str, folder: Path | None, ranks: Ranks
) -> lightning.Trainer:
    from lightning.pytorch.loggers import TensorBoardLogger

    logger = False if folder is None else TensorBoardLogger(folder.parent, name="tensorboard", version=folder.name)
    return lightning.Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=ranks.on_host,
        num_nodes=ranks.hosts,
        strategy="auto" if ranks.count == 1 else "ddp",
        use_distributed_sampler=False,
        precision="bf16-mixed" if device == "cuda" else "32-true",
        max_epochs=options.epochs - len(module.state.history),
        gradient_clip_val=1.0,
        logger=logger,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what lightning says of itself, and of the torch that it was not yet written for."""
    talker = logging.getLogger("lightning.pytorch")
    level = talker.level
    talker.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        talker.setLevel(level)


@contextmanager
def _interrupts() -> Iterator[None]:
    """An interrupt stays one: lightning makes it the end of the process, and every later one unheard."""
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if is_main else None
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        if is_main:
            signal.signal(signal.SIGINT, handler)
