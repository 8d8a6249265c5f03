"""`hlhft alpha`: serves a model, and a policy, to a running engine until it is told to stop."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli.config import loaded_settings
from hlhft.cli.errors import ExitCode

if TYPE_CHECKING:
    from hlhft.alpha.serving.running import Shown
    from hlhft.alpha.serving.shell import Places
    from hlhft.alpha.wire import Signal
    from hlhft.config.settings import Config


@click.command()
@click.option("--model", type=click.Path(path_type=Path), metavar="DIR", help="The model's folder, or a link to it.")
@click.option("--policy", type=click.Path(path_type=Path), metavar="DIR", help="A policy's folder, or a link to it.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="The settings of the engine.")
@click.option("--features", metavar="ENDPOINT", help="Where the engine tells rows.  [default: alpha.features]")
@click.option("--snapshot", metavar="ENDPOINT", help="Where it is asked for rows.  [default: alpha.snapshot]")
@click.option("--signals", metavar="ENDPOINT", help="Where signals are told.  [default: alpha.signals]")
@click.option(
    "--key-file", type=click.Path(path_type=Path), metavar="FILE", help="This process's own key, for tcp.",
)  # fmt: skip
@click.option("--peer-key", metavar="KEY", default="", help="The engine's public key, for tcp.")
@click.option("--horizon", type=click.IntRange(0, 63), default=0, show_default=True, help="Which of the model's.")
@click.option(
    "--engine", type=click.Choice(["onnx", "torch"]), default="onnx", show_default=True, help="What computes."
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
    help="Where torch computes; auto: a GPU, if there is one.",
)  # fmt: skip
@click.option(
    "--stale-ms", type=click.FloatRange(100, 600_000), default=5000.0, show_default=True, metavar="MS",
    help="The oldest that the newest row may be.",
)  # fmt: skip
@click.option(
    "--latencies", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write the measured times there at the end, for hlhft signals.",
)  # fmt: skip
@click.option("--once", is_flag=True, help="End after the first signal, and print it.")
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON lines, the last one at the end.")
@click.option(
    "--make-key", type=click.Path(path_type=Path), metavar="FILE", help="Write a new key there, print its public part.",
)  # fmt: skip
def command(
    *,
    model: Path | None,
    policy: Path | None,
    config: Path | None,
    features: str | None,
    snapshot: str | None,
    signals: str | None,
    key_file: Path | None,
    peer_key: str,
    horizon: int,
    engine: str,
    device: str,
    stale_ms: float,
    latencies: Path | None,
    once: bool,
    as_json: bool,
    make_key: Path | None,
) -> int:
    """Read an engine's rows of features and tell it what a model makes of them, until SIGTERM or Ctrl-C.

    The engine's settings need alpha.enabled, and the features that the model was trained on. It need not run yet, and
    may be restarted; so may this process. A link that is set to another model's folder is followed within seconds; what
    does not pass its checks is not served, and the one before goes on.

    Ends with exit code 0 when told to stop, 2 for an endpoint, key or horizon that is none, 3 for a folder that is no
    model, 1 where the packages of models are not installed.
    """
    if make_key is not None:
        click.echo(_new_key(make_key))
        return ExitCode.OK
    if model is None:
        raise click.UsageError("Missing option '--model'.")
    from hlhft.extra import need

    need("serving a model", "safetensors", "torch" if engine == "torch" else "onnxruntime")
    settings = loaded_settings(config).config
    places = _places(settings, features, snapshot, signals, key_file, peer_key)
    from hlhft.alpha.devices import chosen_device
    from hlhft.alpha.serving.machine import Settings
    from hlhft.alpha.serving.running import Orders, run
    from hlhft.config.folders import metrics_folder_of

    orders = Orders(
        model=model, policy=policy, places=places, horizon=horizon, engine=engine,
        device=chosen_device(device) if engine == "torch" else "cpu",
        settings=Settings(stale_ns=round(stale_ms * 1e6)), once=once, latencies=latencies,
        # One that ends at once leaves the numbers of one that serves alone.
        metrics=None if once else metrics_folder_of(settings, os.environ),
    )  # fmt: skip
    last = run(orders, _shown(places, as_json=as_json, once=once))
    _show(last, as_json=as_json)
    return ExitCode.OK


def _places(
    settings: Config,
    features: str | None,
    snapshot: str | None,
    signals: str | None,
    key_file: Path | None,
    peer_key: str,
) -> Places:
    """What the options say, and where they say nothing, the settings. Raises ConfigError, EndpointError,
    PrivateFileError."""
    from hlhft.alpha.serving.shell import Places
    from hlhft.alpha.sockets import keys_of, require_endpoint
    from hlhft.config.folders import alpha_places_of
    from hlhft.live.private_files import read_private

    keys = None if key_file is None else keys_of(read_private(key_file), peer_key)
    found = alpha_places_of(settings, os.environ)
    places = Places(
        features=features or found.features, snapshot=snapshot or found.snapshot, signals=signals or found.signals,
        keys=keys,
    )  # fmt: skip
    for endpoint in (places.features, places.snapshot, places.signals):
        require_endpoint(endpoint, has_keys=keys is not None)
    return places


def _new_key(path: Path) -> str:
    """Writes a key that only its owner may read; the public part. Raises OSError where a file is."""
    from hlhft.alpha.sockets import new_keys

    public, secret = new_keys()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return public.decode()


def _shown(places: Places, *, as_json: bool, once: bool) -> Shown:
    from hlhft.alpha.serving.running import Shown

    def serving(status: dict[str, Any]) -> None:
        if as_json:
            _show(status, as_json=True)
            return
        click.echo(f"Serving       model {status['model']}")
        click.echo(f"Rows from     {places.features}")
        click.echo(f"Signals at    {places.signals}")

    def told(signal: Signal) -> None:
        from hlhft.alpha.wire import Flag

        if once and not signal.flags & Flag.ABSTAINS:
            import msgspec

            fields = {name: value for name, value in signal._asdict().items() if name != "schema"}
            click.echo(msgspec.json.encode({**fields, "model_id": f"{signal.model_id:016x}"}).decode())

    return Shown(
        serving=serving, status=(lambda status: _show(status, as_json=True)) if as_json else lambda status: None,
        signal=told,
    )  # fmt: skip


def _show(status: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(status).decode())
        return
    counters = status["counters"]
    median = status["compute_us_median"]
    click.echo(f"Ended         after {counters.get('predictions', 0)} predictions" + (
        "" if median is None else f", the model took {median:.0f} us (median)"
    ))  # fmt: skip
    for name, count in counters.items():
        click.echo(f"              {count:>10,}  {name}")
