"""What an evaluation found, as plain structures: written into a model's card, printed, and read back without a loss.

Nothing in here is NaN: what is not defined, or what so few data do not allow to say, is None with a sentence that says
why. Intervals are those of a block bootstrap with the confidence that `Evaluation` names.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

VERSION = 1
DAYS_MAX = 400


class Code(StrEnum):
    """What an evaluation comes to, from the least to the most."""

    CANNOT_TELL = "cannot tell"
    NO_GAIN = "no gain"
    LUCK = "luck explains it"
    SIMPLER = "a simpler model does as well"
    HOLDS = "holds so far"


class Verdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The verdict in words. `weight` is what the signal deserves in quoting: 0, or 1 when the verdict is HOLDS."""

    code: Code
    sentence: str
    remarks: tuple[str, ...] = ()
    weight: int = 0

    @property
    def text(self) -> str:
        """All of it as one paragraph."""
        return " ".join((self.sentence, *self.remarks))


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure with its interval; None with the reason in `why` where there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None
    why: str = ""


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rows of which a model is surest: how many there are, and how often the direction that it gives is right."""

    coverage: float  # share of all rows, 0..1
    rows: int
    precision: float  # share of these whose label is that direction; flat counts as wrong
    move_bp: float  # mean move in that direction


class CalibrationBin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows to which a model gives about the same probability of a class, and how often the class came."""

    label: int  # class: 0 down, 1 flat, 2 up
    rows: int
    said: float  # mean probability
    came: float  # share


class ModelFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model on the test rows. `figures` by name of hlhft.alpha.evaluation.metrics.METRICS."""

    name: str
    title: str
    figures: dict[str, Measured]
    curve: tuple[CurvePoint, ...] = ()
    calibration: tuple[CalibrationBin, ...] = ()


class DieboldMariano(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether two models' NLL differ beyond chance. A negative statistic: the subject's is lower, which is better."""

    statistic: float
    p_value: float  # of both sides
    cells: int  # stretches of time that the differences were added up over
    lags: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The subject against one rival on the same rows and the same resamples.

    `gains` are differences by metric, turned so that above zero the subject is the better one.
    """

    rival: str
    gains: dict[str, Measured]
    diebold_mariano: DieboldMariano | None = None  # None: too few stretches of time


class Day(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One UTC day of the test rows. Means of its rows by model, without intervals: a day is one draw."""

    begin_ns: int
    rows: int
    nll: dict[str, float]
    gain_bp: dict[str, float]


class Horizon(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One label on the test rows: the subject first among `models`, then the baselines, and the verdict."""

    label: str  # name of the label's specification
    horizon_ms: int
    rows: int
    days: int  # UTC days with rows in a quarter of their hours at least
    shares: tuple[float, float, float]  # of down, flat, up among the test rows
    cost_bp: float  # fee; what acting on the signal pays beside the half spread
    blocks: int  # of the bootstrap; 0: too few for intervals
    models: tuple[ModelFigures, ...]
    comparisons: tuple[Comparison, ...]
    verdict: Verdict
    by_day: tuple[Day, ...] = ()  # the newest DAYS_MAX, in order of time

    def model(self, name: str) -> ModelFigures | None:
        """The figures of the model of that name; None when it was not evaluated."""
        return next((one for one in self.models if one.name == name), None)

    def comparison(self, rival: str) -> Comparison | None:
        """The comparison with that rival; None when there is none."""
        return next((one for one in self.comparisons if one.rival == rival), None)


class Trials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the search before this model makes of its result: all from the log of trials and the gain after costs."""

    logged: int  # trials in the log, this one included
    effective: int  # as many independent ones would mislead as much
    deflated: Measured  # probability that the true Sharpe ratio exceeds the luck of so many trials
    overfitting: Measured  # probability that the best of one half of the time is below the median of the other
    samples_needed: Measured  # stretches of time that such a ratio has to last to be believed


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it. The headline is the first horizon's verdict."""

    subject: str
    title: str
    data: str  # what it was evaluated on, for people
    in_sample: bool  # whether the rows meet what the subject was fitted on: then nothing here is evidence
    test_days: int
    first_ns: int
    last_ns: int
    confidence: float
    resamples: int
    seed: int
    horizons: tuple[Horizon, ...]
    trials: Trials | None
    absent: dict[str, str]  # baselines that could not be fitted, and why
    folds: int = 1  # models of the subject, and of each rival, that forecast a stretch of the rows each
    version: int = VERSION

    @property
    def verdict(self) -> Verdict:
        """The headline."""
        return self.horizons[0].verdict


def to_json(evaluation: Evaluation) -> bytes:
    """JSON of the evaluation; `from_json` gives it back."""
    return msgspec.json.encode(evaluation)


def from_json(content: bytes) -> Evaluation:
    """The evaluation of `to_json`. Raises msgspec.ValidationError (a DecodeError) when it is none."""
    return msgspec.json.decode(content, type=Evaluation)
