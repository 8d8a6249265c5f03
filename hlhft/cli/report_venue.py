"""The part of `hlhft report` that reports what the venue itself says of an account: asked now, or saved before."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli.config import loaded_settings
from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.progress import progress

if TYPE_CHECKING:
    from hlhft.config.settings import Config
    from hlhft.live.history_files import Saved
    from hlhft.report.results import Results

STOPPING = (signal.SIGINT, signal.SIGTERM)
_OWNER = re.compile(r"(\d{1,8})=([^\s=]{1,40})")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?)?")
_OVERLAP_MS = 3_600_000  # asked again, of what was told before

OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.option("--venue", is_flag=True, help="Ask the venue for an account's past, and report that."),
    click.option("--address", metavar="0x…", help="The account, with --venue.  [default: that of the settings]"),
    click.option("--from", "since", metavar="TIME", help="Ask from then on, as 2026-04-01 or 2026-04-01T12:30, UTC."),
    click.option("--to", "until", metavar="TIME", help="Ask until then; its worth is not checked then."),
    click.option("--base-url", metavar="URL", help="The venue to ask.  [default: that of --config, else mainnet]"),
    click.option(
        "--history", type=click.Path(path_type=Path), metavar="FOLDER", help="Report again what --venue saved there."
    ),
    click.option(
        "--catalogue", type=click.Path(path_type=Path), metavar="FOLDER", help="Take mids from recorded best prices."
    ),
    click.option(
        "--owner", "owners", multiple=True, metavar="NUMBER=NAME",
        help="The strategy whose orders have this owner's number (account.owner); repeatable.",
    ),
    click.option(
        "--config", type=click.Path(path_type=Path), metavar="FILE", help="Settings of the engine: account and owner."
    ),
)  # fmt: skip


def with_venue(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options of this part, as one keyword argument each."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, kw_only=True)
class PastOptions:
    """What was asked for on the command line, by the names of OPTIONS."""

    venue: bool = False
    address: str | None = None
    since: str | None = None
    until: str | None = None
    base_url: str | None = None
    history: Path | None = None
    catalogue: Path | None = None
    owners: tuple[str, ...] = ()
    config: Path | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether the report is of an account's past."""
        return self.venue or self.history is not None


def report_past(options: PastOptions, output: Path | None, *, as_json: bool) -> tuple[Results, Path]:
    """Asks the venue or reads what was saved, writes the report with what it rests on, and returns results and folder.

    What was told is in the folder beside the report, so that --history makes it again offline. Raises CommandError with
    the exit code 130 when it was interrupted, once what was told is written.
    """
    from hlhft.live.history_report import write_past

    if options.venue and options.history is not None:
        raise click.UsageError("--venue asks anew and --history reads what was saved: leave one of them out.")
    config = loaded_settings(options.config).config
    engine = None if options.config is None else config  # without a file, nobody said which engine it is about
    owners = _owners(options.owners, engine)
    if options.history is not None:
        folder = output if output is not None else options.history
        saved = _saved(options.history)
    else:
        address = _address(options.address, engine)
        folder = output if output is not None else Path("runs", f"history-{address[:10]}")
        url = _url(options.base_url, engine)
        saved = _ask(options, url, address, folder, weight=_weight(config), as_json=as_json)
    results = write_past(saved, folder, owners, options.catalogue)
    if not saved.manifest.is_whole and options.venue:
        raise CommandError(f"interrupted: the report in {folder} is of what was told until then", ExitCode.INTERRUPTED)
    return results, folder


def _saved(folder: Path) -> Saved:
    from hlhft.live.history_files import MANIFEST, load

    if not (folder / MANIFEST).is_file():
        raise CommandError(f"{folder} holds no {MANIFEST}: give a folder that --venue wrote", ExitCode.DATA)
    return load(folder)


def _ask(options: PastOptions, url: str, address: str, folder: Path, *, weight: int, as_json: bool) -> Saved:
    from hlhft.backtest.runs import check_folder
    from hlhft.live.history_files import FOLDER_NAMES, MANIFEST, load, merged

    check_folder(folder, FOLDER_NAMES)
    earlier = load(folder) if (folder / MANIFEST).is_file() else None
    if earlier is not None and earlier.manifest.address != address:
        raise CommandError(
            f"{folder} holds the past of {earlier.manifest.address}: name another folder with --output", ExitCode.USAGE
        )
    since_ms, until_ms = _ms(options.since, "--from"), _ms(options.until, "--to")
    if earlier is not None and since_ms is None:
        since_ms = max(earlier.manifest.until_ms - _OVERLAP_MS, earlier.manifest.from_ms)
        if not earlier.manifest.is_whole:
            since_ms = earlier.manifest.from_ms
    saved = asyncio.run(_told(url, address, since_ms or 0, until_ms, weight=weight, as_json=as_json))
    return saved if earlier is None or options.since is not None else merged(saved, earlier)


async def _told(url: str, address: str, since_ms: int, until_ms: int | None, *, weight: int, as_json: bool) -> Saved:
    """Asks until all is told or a signal comes."""
    from hlhft.live.history import HistoryAsker

    loop = asyncio.get_running_loop()
    with progress(f"Asking {url} for the past of {address[:10]}…", hidden=as_json) as told:
        asker = HistoryAsker(
            url,
            weight_per_minute=weight,
            progress=None if told is None else lambda _name, count: told(count, 0),
        )
        for number in STOPPING:
            loop.add_signal_handler(number, asker.stop)
        try:
            return await asker.run(address, from_ms=since_ms, to_ms=until_ms)
        finally:
            for number in STOPPING:
                loop.remove_signal_handler(number)


def _weight(config: Config) -> int:
    """The part of the IP address's weight a minute that is left to tools."""
    limits = config.limits
    return max(limits.ip_weight_per_minute * limits.share.tools_percent // 100, 1)


def _address(text: str | None, config: Config | None) -> str:
    from hlhft.hyperliquid.wire import WireError, read_address

    if text is None and config is not None:
        text = config.account.vault_address or config.account.address
    if not text:
        raise click.UsageError("--venue needs --address: the account, not its API wallet.")
    try:
        return read_address(text)
    except WireError as error:
        raise click.UsageError(f"--address: {error}") from None


def _url(text: str | None, config: Config | None) -> str:
    from hlhft.config.live_sections import BASE_URLS

    if text is not None and not re.fullmatch(r"https?://[^\s/]+/?", text):
        raise click.UsageError(f"--base-url {text} is no URL of a venue, as in {BASE_URLS['mainnet']}")
    if text is None and config is not None:
        text = config.account.base_url or BASE_URLS[config.account.network]
    return (text or BASE_URLS["mainnet"]).rstrip("/")


def _ms(text: str | None, option: str) -> int | None:
    """A time of the command line in ms."""
    from datetime import UTC, datetime

    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None:
        raise click.UsageError(f"{option} {text} is no time as 2026-04-01 or 2026-04-01T12:30 (UTC)")
    return int(found.replace(tzinfo=UTC).timestamp()) * 1000


def _owners(texts: Sequence[str], config: Config | None) -> dict[int, str]:
    """Names of strategies by owner: those that were given, and the engine's own of the settings."""
    owners = {} if config is None else {config.account.owner: Path(config.strategy.name).stem}
    for text in texts:
        read = _OWNER.fullmatch(text)
        if read is None:
            raise click.UsageError(f"--owner {text} is no NUMBER=NAME, as in 1=glft")
        owners[int(read[1])] = read[2]
    return owners
