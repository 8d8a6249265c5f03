"""`hlhft scan`: all markets ranked by what a two-sided quoter would have kept, or that none would have paid."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli.backtest import is_given
from hlhft.cli.catalogues import CatalogueType, read_from
from hlhft.cli.config import loaded_settings
from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.progress import progress

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hlhft.config.settings import Config
    from hlhft.data.addresses import RemotePath
    from hlhft.data.sources import Source
    from hlhft.live.scan import LiveScan
    from hlhft.report.market_scan import MarketScan
    from hlhft.report.scan_results import MarketResult, ScanSettings

_STRETCH = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2})?(\.\.\d{4}-\d{2}-\d{2}(T\d{2})?)?")
MINUTES_MAX = 7 * 24 * 60
HORIZONS = ("1", "10", "60")
WIDE_COLUMNS = 132
STOPPING = (signal.SIGINT, signal.SIGTERM)


@click.command()
@click.argument("data", nargs=-1, metavar="[DATE[..DATE]|PATH]...")
@click.option("--coins", metavar="COIN,...", help="Markets to look at. Default: all there are.")
@click.option(
    "--catalogue",
    type=CatalogueType(),
    metavar="FOLDER",
    help="The catalogue, a folder or s3://BUCKET/PREFIX. Default: data.catalogue of the settings, catalog.",
)
@click.option("--live", is_flag=True, help="Watch the venue instead of reading what was recorded.")
@click.option(
    "--minutes", type=click.FloatRange(0.05, MINUTES_MAX), default=30, show_default=True, help="How long to watch it."
)
@click.option(
    "--top", type=click.IntRange(1, 500), metavar="N", help="Watch the N busiest. Default: as many as the limits allow."
)
@click.option("--base-url", metavar="URL", help="The venue to watch or ask. Default: mainnet.")
@click.option(
    "--fees", default="tier:0", show_default=True, metavar="FEES", help="tier:0 to tier:6, or the maker fee in bp."
)
@click.option("--account", metavar="ADDRESS", help="Ask the venue for this account's maker fee.")
@click.option("--quote", default="1000", show_default=True, metavar="USDC", help="Size of the order on each side.")
@click.option(
    "--horizon",
    type=click.Choice(HORIZONS),
    default="10",
    show_default=True,
    help="Seconds after which a fill is judged.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Settings in TOML: the catalogue, and the share of the limits that tools have.",
)
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="Also write every figure: .parquet or .csv."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
def command(data: tuple[str, ...], *, live: bool, output: Path | None, as_json: bool, **options: Any) -> None:
    """Rank markets by what a two-sided quoter at the touch would have kept after fees and funding.

    Without DATA, all of the catalogue; with dates, that stretch of it; with paths, these recordings. With --live the
    venue's best prices and trades are watched; Ctrl-C ends it early and reports what was seen.
    """
    if live and data:
        raise click.UsageError("--live watches the venue and reads no DATA: leave one of them out.")
    if output is not None:
        _refuse_name(output)
    config = loaded_settings(options["config"]).config
    url = _url(options["base_url"])
    settings = _settings(options, url)
    coins = _coins(options["coins"])
    if live:
        scans, interrupted, about = _watch(options, url, config, coins, settings, as_json=as_json)
    else:
        root = read_from(options["catalogue"], config)
        scans, interrupted, about = _read(data, root, coins, settings, as_json=as_json)
    from hlhft.report.market_scan import ranking

    results = ranking(scans, settings)
    if output is not None:
        from hlhft.report.scan_files import write_scan

        write_scan(output, results)
    _show(results, settings, about, as_json=as_json)
    if interrupted:
        raise CommandError("interrupted: this is what was seen until then", ExitCode.INTERRUPTED)


# What is assumed.


def _settings(options: dict[str, Any], url: str) -> ScanSettings:
    from hlhft.report.scan_results import ScanSettings

    account = options["account"]
    if account is not None and is_given("fees"):
        raise click.UsageError("--fees and --account both say the maker fee: leave one of them out.")
    rate = _maker_rate(options["fees"]) if account is None else _rate_of(account, url)
    return ScanSettings(
        quote_micro=_quote_micro(options["quote"]),
        maker_rate_e9=rate,
        horizon_ns=int(options["horizon"]) * 1_000_000_000,
    )


def _maker_rate(text: str) -> int:
    from hlhft.backtest.models import TIERS_BP, parse_fees

    if text.startswith("tier:"):
        return parse_fees(text)[0].maker_rate_e9
    try:
        fee = float(text)
    except ValueError:
        fee = float("nan")
    if not -100.0 <= fee <= 100.0:
        raise click.UsageError(
            f"--fees {text} is no maker fee: give tier:0 to tier:{len(TIERS_BP) - 1}, or bp from -100 to 100"
        )
    return round(fee * 100_000)


def _rate_of(account: str, url: str) -> int:
    import asyncio

    from hlhft.hyperliquid.wire import WireError
    from hlhft.live.scan import maker_fees

    try:
        return asyncio.run(maker_fees(url, account)).maker_rate_e9
    except WireError as error:
        raise click.UsageError(f"--account: {error}") from None


def _quote_micro(text: str) -> int:
    from decimal import Decimal, InvalidOperation

    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or not 1 <= value <= 10**9 or value * 10**6 % 1:
        raise click.UsageError(f"--quote {text}: give 1 to 10^9 USDC, with six decimals at most")
    return int(value * 10**6)


def _coins(text: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(coin.strip() for coin in (text or "").split(",") if coin.strip()))


def _url(text: str | None) -> str:
    from hlhft.config.live_sections import BASE_URLS

    if text is not None and not re.fullmatch(r"https?://[^\s/]+/?", text):
        raise click.UsageError(f"--base-url {text} is no URL of a venue, as in {BASE_URLS['mainnet']}")
    return (text or BASE_URLS["mainnet"]).rstrip("/")


# Recordings.


def _read(
    data: Sequence[str], root: Path | RemotePath, coins: tuple[str, ...], settings: ScanSettings, *, as_json: bool
) -> tuple[list[MarketScan], bool, str]:
    """The scans of what was recorded, whether they were ended early, and what that is in a line."""
    from hlhft.data.sources import open_source
    from hlhft.report.numbers import recording_title

    stretches = [text for text in data if _STRETCH.fullmatch(text) and not Path(text).exists()]
    if len(stretches) == len(data) <= 1:
        return _read_catalogue(stretches[0] if stretches else "", root, coins, settings, as_json=as_json)
    if stretches:
        raise click.UsageError(f"{stretches[0]} is a stretch of the catalogue: give it alone, or paths only.")
    source = open_source([Path(text) for text in data], catalogue=root)
    title = recording_title(source.name)
    return [_scan(source, settings, title, coins, as_json=as_json)], False, title


def _read_catalogue(
    stretch: str, root: Path | RemotePath, coins: tuple[str, ...], settings: ScanSettings, *, as_json: bool
) -> tuple[list[MarketScan], bool, str]:
    """As `_read`, of the stretch that a text as 2026-04-01..2026-04-30 names, or of all that there is."""
    from hlhft.data.catalogue.names import wanted
    from hlhft.data.catalogue.reading import Catalogue
    from hlhft.report.market_scan import scan_catalogue

    if not root.is_dir():
        raise CommandError(
            f"{root}: there is no catalogue, name its folder with --catalogue, or recordings, or give --live",
            ExitCode.DATA,
        )
    begin_ns = end_ns = None
    if stretch:
        try:
            asked = wanted(f"{stretch}/any")
        except ValueError as error:
            raise CommandError(str(error).replace("/any", ""), ExitCode.USAGE) from None
        assert asked is not None, "the pattern is that of names without coins"
        begin_ns, end_ns = asked.begin_ns, asked.end_ns
    title = f"{root}{f', {stretch}' if stretch else ''}"
    scans: list[MarketScan] = []
    interrupted = False
    with progress(f"Scanning {title}", hidden=as_json) as update:
        found = scan_catalogue(Catalogue(root), coins, settings, begin_ns=begin_ns, end_ns=end_ns, progress=update)
        try:
            for scan in found:
                scans.append(scan)
        except KeyboardInterrupt:
            interrupted = True
    if not scans:
        if interrupted:
            raise CommandError("interrupted before any market was finished", ExitCode.INTERRUPTED)
        raise CommandError(f"{title}: there is nothing, fill it with `hlhft mine` or `hlhft record`", ExitCode.DATA)
    return scans, interrupted, title


def _scan(source: Source, settings: ScanSettings, title: str, coins: Sequence[str], *, as_json: bool) -> MarketScan:
    from hlhft.report.market_scan import scan_source

    names = [market.name for market in source.markets]
    absent = [coin for coin in coins if coin not in names]
    if absent:
        raise CommandError(f"{title} holds no {', '.join(absent)}: there are {', '.join(names)}", ExitCode.USAGE)
    with progress(f"Scanning {title}", hidden=as_json) as update:
        scan = scan_source(source, settings, progress=update)
    if coins:
        scan.watched = [watched for watched in scan.watched if watched.market.name in coins]
    return scan


# The venue.


def _watch(
    options: dict[str, Any], url: str, config: Config, coins: tuple[str, ...], settings: ScanSettings, *, as_json: bool
) -> tuple[list[MarketScan], bool, str]:
    """The scan, whether it was ended early, and what was watched in a line."""
    import asyncio

    from hlhft.live.scan import LiveScan, Share

    share = Share.of(config)

    async def run() -> tuple[LiveScan, MarketScan]:
        duration_ns = round(options["minutes"] * 60e9)
        live = LiveScan(url, share, settings, duration_ns=duration_ns)
        for number in STOPPING:
            asyncio.get_running_loop().add_signal_handler(number, live.stop)
        with progress(f"Watching {url}", hidden=as_json) as update:
            return live, await live.run(coins, options["top"] or share.markets, update)

    live, scan = asyncio.run(run())
    assert live.feed is not None, "it was run"
    if not any(watched.last_ns for watched in scan.watched):
        end = ExitCode.INTERRUPTED if live.is_stopped else ExitCode.FAILURE
        raise CommandError(f"{url} sent no best prices and no trades ({live.feed.status()}), try again", end)
    about = f"{url}: the {len(scan.watched)} busiest of {live.listed_count} markets, {live.feed.status()}"
    return [scan], live.is_stopped, about if not coins else f"{url}: {live.feed.status()}"


# What is printed.


def _refuse_name(output: Path) -> None:
    from hlhft.report.scan_files import SUFFIXES

    if output.suffix not in SUFFIXES:
        raise click.UsageError(f"--output {output}: the name must end in {' or '.join(SUFFIXES)}")
    if not output.parent.is_dir():
        raise CommandError(f"{output.parent}: there is no such folder, make it first", ExitCode.USAGE)


def _show(results: Sequence[MarketResult], settings: ScanSettings, about: str, *, as_json: bool) -> None:
    from hlhft.report.scan_words import assumptions, remarks, sentence

    if as_json:
        import msgspec

        answer = {
            "sentence": sentence(results, settings),
            "remarks": remarks(results, settings),
            "assumptions": assumptions(settings),
            "about": about,
            "maker_fee_bp": settings.fee_bp,
            "quote_usdc": settings.quote_micro / 1e6,
            "horizon_s": settings.horizon_ns / 1e9,
            "markets": [one.plain() for one in results],
        }
        click.echo(msgspec.json.encode(answer).decode())
        return
    from rich.console import Console

    console = Console(highlight=False)
    for part in _parts(results, settings, about, is_wide=console.width >= WIDE_COLUMNS):
        console.print(part)


def _parts(
    results: Sequence[MarketResult], settings: ScanSettings, about: str, *, is_wide: bool
) -> Iterator[RenderableType]:
    from rich import box
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from hlhft.report.scan_results import PAYING, Verdict
    from hlhft.report.scan_words import assumptions, remarks, sentence, table

    heads, rows = table(results, settings, is_wide=is_wide)
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for place, head in enumerate(heads):
        is_text = place in (0, len(heads) - 1)
        # Figures are never cut.
        wide = max((len(line) for row in rows for line in (row[place], *head.split("\n"))), default=0)
        shown.add_column(
            head, justify="left" if is_text else "right", overflow="fold", min_width=0 if is_text else wide
        )
    tones = dict.fromkeys(PAYING, "green") | {Verdict.LOSES: "red"}
    for one, cells in zip(results, rows):
        tone = tones.get(one.verdict, "dim")
        shown.add_row(*(Text(cell) for cell in cells[:-1]), Text(cells[-1], style=tone))
    yield Text()
    yield Text.assemble((about, "bold"), ("\nin bp of the value filled", "dim"))
    yield Padding(shown, (1, 0))
    yield Text(sentence(results, settings), style="bold")
    yield Text(" ".join((*remarks(results, settings), assumptions(settings))), style="dim")
    yield Text()
