"""A model's card: the verdict first, what it came to, and what it was made of. As JSON and as a page.

The same run gives the same bytes. Everything in it is of the run itself or of its evaluation; the card computes none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from hlhft.alpha.bundle import Bundle
from hlhft.alpha.dataset import Dataset
from hlhft.alpha.evaluation import words
from hlhft.alpha.evaluation.result import Evaluation, Horizon
from hlhft.alpha.training_report import TrainingReport
from hlhft.report.markup import document, terms, text_of
from hlhft.report.numbers import count, counted, duration, moment, period, plain

VERSION = 1
CLASS_TITLES = ("down", "flat", "up")
CLASS_COLOURS = ("#d1495b", "#7d8597", "#1f8a70")
TITLES = {"lit": "LiT", "deeplob": "DeepLOB"}
CARDS = ("nll", "macro_f1_balanced", "gain_bp")
NOT_EVALUATED = "This model was not evaluated: nothing is known of what it is worth, so its weight is 0."


class DataFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the model was made of."""

    name: str
    key: str
    sources: tuple[str, ...]
    coins: tuple[str, ...]
    profile: str
    rows: int
    segments: int


class DayModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model that forecast one day of a walk."""

    begin_ns: int  # of the UTC day
    from_ns: int  # what its train block lives through
    to_ns: int
    rows: int  # samples of its train block
    seed: int  # the chosen one
    stop_nll: float


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`card.json`."""

    version: int = VERSION
    verdict: str
    weight: int  # what its signal deserves in quoting, 0 or 1
    data: DataFacts
    model: Bundle  # its record: ranges of every block, feature schema, code key, seed
    training: TrainingReport
    evaluation: Evaluation | None
    days: tuple[DayModel, ...] = ()  # of a walk, in order of time; `model` and `training` are the last one's


def card_of(
    dataset: Dataset,
    model: Bundle,
    training: TrainingReport,
    evaluation: Evaluation | None,
    days: tuple[DayModel, ...] = (),
) -> Card:
    """The card of a model whose evaluation may be missing."""
    return Card(
        verdict=NOT_EVALUATED if evaluation is None else evaluation.verdict.text,
        weight=0 if evaluation is None else evaluation.verdict.weight,
        data=DataFacts(
            name=dataset.name,
            key=dataset.key,
            sources=dataset.sources,
            coins=dataset.coins,
            profile=dataset.profile,
            rows=len(dataset),
            segments=len(dataset.segments),
        ),
        model=model,
        training=training,
        evaluation=evaluation,
        days=days,
    )


def to_json(card: Card) -> bytes:
    """The card as `card.json` has it; `from_json` gives it back."""
    return msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n"


def from_json(content: bytes) -> Card:
    """The card of `to_json`. Raises msgspec.ValidationError (a DecodeError) when it is none."""
    return msgspec.json.decode(content, type=Card)


def render(card: Card) -> str:
    """The page. Raises FileNotFoundError when the plotly package lacks its script."""
    evaluation = card.evaluation
    horizons = () if evaluation is None else evaluation.horizons
    charts = [chart for place, one in enumerate(horizons) for chart in _charts(place, one)]
    sentence = NOT_EVALUATED if evaluation is None else evaluation.verdict.sentence
    remarks = "" if evaluation is None else " ".join(evaluation.verdict.remarks)
    walked = "" if evaluation is None else words.walk_sentence(evaluation)
    body = "\n".join(
        [
            "<main>",
            f'<p class="kicker"><b>hlhft model</b> · {" · ".join(map(text_of, _facts(card)))}</p>',
            f"<h1>{text_of(sentence)}</h1>",
            f'<p class="remarks">{text_of(remarks)}</p>' if remarks else "",
            f'<p class="note under">{text_of(walked)}</p>' if walked else "",
            _figure_cards(horizons[0]) if horizons else "",
            *(part for place, one in enumerate(horizons) for part in _horizon(place, one)),
            f'<p class="note under">{text_of(words.assumptions(evaluation))}</p>' if evaluation is not None else "",
            _luck(evaluation),
            *_days(card),
            *_training(card),
            *_blocks(card),
            "<h2>What it is</h2>",
            f'<div class="panel">{terms(_identity(card))}</div>',
            f"<footer>hlhft {text_of(card.model.hlhft)}. What was forecast right is no promise.</footer>",
            "</main>",
        ]
    )
    return document(
        title=f"{card.data.name}: hlhft model",
        description=sentence,
        body=body,
        drawn=charts,
        styles=("page.css", "charts.css"),
        script="charts.js",
    )


def _facts(card: Card) -> list[str]:
    kind = TITLES[card.model.config.__struct_config__.tag]  # type: ignore[index]
    facts = [kind, card.data.name, f"windows of {counted(card.model.length, 'row')}"]
    if card.evaluation is not None:
        facts.append(words.subject_title(card.evaluation))
    return facts


def _figure_cards(horizon: Horizon) -> str:
    """The headline's figures, each with those of some rivals."""
    heads, rows = words.figures_table(horizon)
    rivals = [row for row, one in zip(rows, horizon.models, strict=True) if not one.name.startswith("seed-")][1:]
    cards = []
    for place in (1 + words.FIGURES.index(name) for name in CARDS):
        own = rows[0][place].split(" (")[0]
        beside = ", ".join(f"{row[0]} {row[place].split(' (')[0]}" for row in rivals)
        cards.append(
            f'<div class="card"><div class="name">{text_of(heads[place])}</div>'
            f'<div class="figure">{text_of(own)}</div><div class="under">{text_of(beside)}</div></div>'
        )
    return f'<div class="cards">{"".join(cards)}</div>'


def _horizon(place: int, horizon: Horizon) -> Iterable[str]:
    yield f"<h2>{text_of(horizon.label)}, {text_of(duration(horizon.horizon_ms * 1_000_000))}</h2>"
    verdict = f" {horizon.verdict.text}" if place else ""  # the first one's is the headline
    yield f'<p class="note">{text_of(words.horizon_title(horizon))}.{text_of(verdict)}</p>'
    yield _table(*words.figures_table(horizon))
    yield '<p class="note between">Its advantage on the same rows; above zero it is the better one.</p>'
    yield _table(*words.gains_table(horizon))
    if len(horizon.by_day) > 1:
        yield '<p class="note between">By day; above zero its NLL is the lower one.</p>'
        yield _table(*words.days_table(horizon))
    yield (
        '<div class="two"><section class="panel chart"><h3>What it said and what came</h3>'
        "<p>On the line, a probability means what it says.</p>"
        f'<div class="plot" id="calibration-{place}"></div></section>'
        '<section class="panel chart"><h3>How right where it is surest</h3>'
        "<p>Share of right directions among the rows that it is surest of.</p>"
        f'<div class="plot" id="coverage-{place}"></div></section></div>'
    )


def _charts(place: int, horizon: Horizon) -> list[dict[str, Any]]:
    subject = horizon.models[0]
    diagonal = {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "showlegend": False,
                "hoverinfo": "skip", "line": {"color": "faint", "width": 1, "dash": "dot"}}  # fmt: skip
    said: list[dict[str, Any]] = [diagonal]
    for label, (title, colour) in enumerate(zip(CLASS_TITLES, CLASS_COLOURS, strict=True)):
        bins = [one for one in subject.calibration if one.label == label]
        said.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": title,
                "x": [round(one.said, 4) for one in bins],
                "y": [round(one.came, 4) for one in bins],
                "text": [counted(one.rows, "row") for one in bins],
                "line": {"color": colour, "width": 1.6},
                "marker": {"size": 6, "color": colour},
                "hovertemplate": "said %{x:.2f}, came %{y:.2f}<br>%{text}",
            }
        )
    curves = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": one.title,
            "x": [round(point.coverage, 4) for point in one.curve],
            "y": [round(point.precision, 4) for point in one.curve],
            "line": {"color": "ink", "width": 2.4} if one is subject else {"width": 1.2},
            "hovertemplate": "%{x:.1%} of rows: %{y:.3f}",
        }
        for one in horizon.models
        if one.curve
    ]
    share = {"title": {"text": "share of rows, surest first"}, "type": "log", "tickformat": ".0%"}
    return [
        {
            "id": f"calibration-{place}",
            "data": said,
            "layout": {"xaxis": {"title": {"text": "said"}}, "yaxis": {"title": {"text": "came"}}},
        },
        {
            "id": f"coverage-{place}",
            "data": curves,
            "layout": {"xaxis": share, "yaxis": {"title": {"text": "right"}}},
        },
    ]


def _luck(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return ""
    said = [words.trials_sentence(evaluation.trials), *words.absent_sentences(evaluation)]
    return f'<p class="note under">{text_of(" ".join(said))}</p>'


def _training(card: Card) -> Iterable[str]:
    report = card.training
    yield "<h2>Seeds and calibration</h2>"
    yield (
        f'<p class="note">Chosen: seed {report.chosen_seed}, {text_of(report.choice)}. Nothing in these tables saw the '
        "test block.</p>"
    )
    heads = ["seed", "epochs", "best epoch", "NLL, stop block", "NLL, calibrate block", "samples a second"]
    rows = [
        [
            f"{one.seed}{' (chosen)' if one.seed == report.chosen_seed else ''}",
            count(one.epochs),
            count(one.best_epoch),
            plain(one.stop_nll, 4),
            plain(one.calibrate_nll, 4),
            plain(one.samples_per_s, 0),
        ]
        for one in report.seeds
    ]
    yield _table(heads, rows)
    heads = ["label", "rows", "scale", "NLL before", "NLL after", "NLL of the shares"]
    rows = []
    for one in report.calibration:
        losses = (one.nll_before, one.nll_after, one.nll_prior)
        rows.append([one.label, count(one.rows), plain(one.scale), *(plain(nll, 4) for nll in losses)])
    yield '<p class="note between">What calibration did on its own block; at scale 0 only the shares are left.</p>'
    yield _table(heads, rows)


def _blocks(card: Card) -> Iterable[str]:
    yield "<h2>Blocks of time</h2>"
    yield (
        f'<p class="note">What each block lives through, windows and labels included; from a cut to the first later '
        f"decision it is at least {text_of(duration(card.model.embargo_ns))}.</p>"
    )
    rows = [
        [name, one.coin, period(one.from_ns, one.to_ns), count(card.training.rows.get(name))]
        for name, ranges in card.model.ranges.items()
        for one in ranges
    ]
    yield _table(["block", "coin", "from and to", "samples, all coins"], rows)


def _days(card: Card) -> Iterable[str]:
    if not card.days:
        return
    yield "<h2>The model of each day</h2>"
    yield '<p class="note">The last one is what is served, and what the sections around this one are of.</p>'
    rows = [
        [
            moment(one.begin_ns)[:10],
            period(one.from_ns, one.to_ns),
            count(one.rows),
            str(one.seed),
            plain(one.stop_nll, 4),
        ]
        for one in card.days
    ]
    yield _table(["day", "train block from and to", "samples", "seed", "NLL, stop block"], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{text_of(one)}</th>" for one in heads)
    lines = "\n".join("<tr>" + "".join(f"<td>{text_of(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="panel scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{lines}</tbody></table></div>'


def _identity(card: Card) -> dict[str, Any]:
    model = card.model
    return {
        "model id": f"{model.model_id:016x}",
        "network": msgspec.to_builtins(model.config),
        "trained weights": card.training.weights,
        "training": msgspec.to_builtins(card.training.options),
        "device": card.training.device,
        "labels": "; ".join(str(msgspec.to_builtins(label)) for label in model.horizons),
        "feature schema": model.schema_hash,
        "features": list(model.schema.names),
        "data": msgspec.to_builtins(card.data),
        "code key": model.code_key,
        "files": model.files,
    }
