"""`hlhft mine`: the venue's archives in S3 into the catalogue, after asking, since whoever reads them pays."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli.catalogues import written_to
from hlhft.cli.cluster import cluster_options
from hlhft.cli.config import loaded_settings
from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.progress import progress
from hlhft.cli.spreading import NAMES, spreading

if TYPE_CHECKING:
    from rich.progress import TaskID

    from hlhft.cli.spreading import Spread
    from hlhft.data.mining.keys import Listed
    from hlhft.data.mining.miner import Report
    from hlhft.data.mining.plan import Plan, Wish
    from hlhft.data.mining.store import Store
    from hlhft.units import Market

LISTING_MAX = 16  # listings at a time
_DATE = click.DateTime(formats=["%Y-%m-%d"])

Heard = Callable[[int], None]


class _Command(click.Command):
    """As click's, and --coins takes every word up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's."""
        spread: list[str] = []
        open_list = False
        for word in args:
            if word.startswith("-"):
                open_list = word == "--coins"
                spread.append(word)
                continue
            if open_list and spread[-1] != "--coins":
                spread.append("--coins")
            spread.append(word)
        return super().parse_args(ctx, spread)


@click.command(cls=_Command)
@click.option(
    "--start-date", "first", type=_DATE, required=True, metavar="DATE", help="First day (UTC), as 2026-04-01."
)
@click.option("--end-date", "last", type=_DATE, required=True, metavar="DATE", help="Last day, included.")
@click.option(
    "--coins",
    multiple=True,
    required=True,
    metavar="COIN...",
    help="As BTC ETH, or ALL that the archive and the specification have: hundreds of coins and gigabytes a day.",
)
@click.option(
    "--catalogue",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where to. Default: data.catalogue of the settings, catalog.",
)
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Settings in TOML (hlhft config).")
@click.option("--trades/--no-trades", default=True, show_default=True, help="Trades, from the fills of all coins.")
@click.option("--fills", is_flag=True, help="Both sides of every fill too, with users, fees and hashes.")
@click.option("--contexts/--no-contexts", default=True, show_default=True, help="Mark, oracle, funding by the minute.")
@click.option("--plan", "plan_only", is_flag=True, help="Say what would be fetched and what it costs, and end.")
@click.option("--yes", is_flag=True, help="Do not ask before spending.")
@click.option("--jobs", type=click.IntRange(1, 16), metavar="N", help="Objects decoded at a time. Default: processors.")
@click.option(
    "--usd-per-gb", metavar="USD", help="What a gigabyte costs you, as 0 inside the bucket's region; else list prices."
)
@click.option(
    "--markets",
    "specification",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Market specification: TOML, JSON, or the venue's meta answer. Default: the shipped table.",
)
@click.option("--endpoint-url", metavar="URL", help="An S3 server other than AWS.")
@click.option("--json", "as_json", is_flag=True, help="Print plan and outcome as one JSON object, and nothing else.")
@cluster_options
def command(*, plan_only: bool, yes: bool, as_json: bool, endpoint_url: str | None, **options: Any) -> None:
    """Fetch books, trades and contexts from Hyperliquid's archives in S3 into the catalogue.

    The archives' readers pay AWS for what they fetch: this says what it will cost and asks before it begins.
    Credentials come the usual ways of AWS. What is there already is not fetched again, so a mining that was
    interrupted, however it was, goes on when it is run once more. With --on workers fetch and decode, each with its own
    credentials, and the parts come into the catalogue here.
    """
    from hlhft.data.mining.saying import plan_lines, plan_plain, report_lines, report_plain

    markets, wish = _wished(options)
    usd_per_gb = _usd(options["usd_per_gb"])
    root = written_to(options["catalogue"], loaded_settings(options["config"]).config)
    stop = threading.Event()
    with _held(root, hold=not plan_only):
        store, plan = _planned(wish, markets, root, endpoint_url, stop, hidden=as_json)
        if not as_json or not (yes or plan_only):
            click.echo("\n".join(plan_lines(wish, plan, usd_per_gb)), err=as_json)
        said: dict[str, Any] = {"plan": plan_plain(wish, plan, usd_per_gb)}
        failures = 0
        if not plan_only:
            _ask(plan, yes=yes)
            is_spread = any(options[name] is not None for name in NAMES)
            asked = options if is_spread else {}
            with spreading(asked, models=False, hidden=as_json) as where:
                if where is None:
                    report = _mine(root, store, plan, markets, stop, options["jobs"], hidden=as_json)
                else:
                    report = _mine_on(where, root, plan, markets, endpoint_url)
            failures = len(report.failures)
            said["report"] = report_plain(report)
            if not as_json:
                click.echo("\n".join(report_lines(report)))
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(said).decode())
    if failures:
        raise CommandError(
            f"{failures} of {len(plan.tasks)} objects could not be used, the others are in {root}", ExitCode.DATA
        )


def _wished(options: dict[str, Any]) -> tuple[dict[str, Market], Wish]:
    """The market specification and the wish. Raises WishError, DataError."""
    from hlhft.data.markets import known, load
    from hlhft.data.mining.plan import wish_of

    markets = dict(known() if options["specification"] is None else load(options["specification"]))
    wish = wish_of(
        options["first"].date(),
        options["last"].date(),
        [coin for words in options["coins"] for coin in words.split(",") if coin],
        markets,
        today=datetime.now(UTC).date(),
        trades=options["trades"],
        fills=options["fills"],
        contexts=options["contexts"],
    )
    return markets, wish


def _usd(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or not 0 <= value <= 1000:
        raise click.UsageError(f"--usd-per-gb {text} is not a price of 0 to 1000 US dollars, as in 0.09")
    return value


@contextmanager
def _held(root: Path, *, hold: bool) -> Iterator[None]:
    """The catalogue's lock, unless nothing will be written."""
    from hlhft.data.mining.lock import only_one

    if not hold:
        yield
        return
    with only_one(root):
        yield


def _planned(
    wish: Wish,
    markets: dict[str, Market],
    root: Path,
    endpoint_url: str | None,
    stop: threading.Event,
    *,
    hidden: bool,
) -> tuple[Store, Plan]:
    """Lists the archives and arranges what to do. Raises MiningError, WishError."""
    from hlhft.data.catalogue.reading import Catalogue
    from hlhft.data.mining.plan import arrange
    from hlhft.data.mining.store import Store

    store = Store(endpoint_url, pause=stop.wait)
    listed = _listed(store, wish, stop, hidden=hidden)
    catalogue = Catalogue(root)

    def held(part: Any) -> str | None:
        manifest = catalogue.manifest(part)
        return None if manifest is None else manifest.origin

    now_ns = int(datetime.now(UTC).timestamp()) * 1_000_000_000
    return store, arrange(wish, listed, held, markets, now_ns=now_ns)


def _listed(store: Store, wish: Wish, stop: threading.Event, *, hidden: bool) -> list[Listed]:
    """Every object that could serve, several listings at a time."""
    from concurrent.futures import ThreadPoolExecutor, as_completed

    from hlhft.data.mining.plan import folders

    wanted = folders(wish)
    found: list[Listed] = []
    complete = False
    with progress("Listing the archives", hidden=hidden) as update, ThreadPoolExecutor(LISTING_MAX) as pool:
        futures = [pool.submit(store.list, bucket, prefix) for bucket, prefix in wanted]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                found.extend(future.result())
                if update is not None:
                    update(done, len(wanted))
            complete = True
        finally:
            if not complete:
                stop.set()  # what waits to be tried again does not wait
            for future in futures:
                future.cancel()
    return found


def _ask(plan: Plan, *, yes: bool) -> None:
    """Returns when the user agrees to pay; there is nothing to agree to when there is nothing to fetch."""
    if yes or not plan.tasks:
        return
    if not sys.stdin.isatty():
        raise CommandError(
            "nobody is there to agree to the cost: give --yes to spend without being asked, or --plan to only look",
            ExitCode.USAGE,
        )
    if not click.confirm("Fetch them?", default=False, err=True):
        raise CommandError("nothing was fetched", ExitCode.OK)


def _mine(
    root: Path,
    store: Store,
    plan: Plan,
    markets: dict[str, Market],
    stop: threading.Event,
    jobs: int | None,
    *,
    hidden: bool,
) -> Report:
    """Carries the plan out. Raises MiningError; CommandError when interrupted."""
    from functools import partial

    from hlhft.data.mining.making import make_parts, write_missing
    from hlhft.data.mining.miner import Miner, jobs_by_default

    with _bars(plan, hidden=hidden or not plan.tasks) as (fetched, made):
        miner = Miner(
            root,
            store,
            partial(make_parts, root, markets, stop),
            jobs=jobs or jobs_by_default(),
            stop=stop,
            fetched=fetched,
            made=lambda task: made(1),
        )
        try:
            write_missing(root, plan, markets)
            return miner.run(plan.tasks)
        except KeyboardInterrupt:
            done = miner.report.objects
            raise CommandError(
                f"interrupted: {done} of {len(plan.tasks)} objects are in {root}, run it again to go on",
                ExitCode.INTERRUPTED,
            ) from None


def _mine_on(where: Spread, root: Path, plan: Plan, markets: dict[str, Market], endpoint_url: str | None) -> Report:
    """Carries the plan out on a cluster. Raises MiningError, TasksFailed; CommandError when interrupted."""
    from hlhft.data.mining.making import write_missing
    from hlhft.scale.mining import mine_on

    write_missing(root, plan, markets)
    return mine_on(where, root, plan.tasks, markets, endpoint_url=endpoint_url)


@contextmanager
def _bars(plan: Plan, *, hidden: bool) -> Iterator[tuple[Heard, Heard]]:
    """What to call with bytes that came and objects that are done: two bars on a terminal, a line now and then else."""
    total_bytes = sum(task.listed.size_bytes for task in plan.tasks)
    if not hidden and sys.stderr.isatty():
        with _two_bars(total_bytes, len(plan.tasks)) as heard:
            yield heard
        return
    with progress(f"Fetching {len(plan.tasks)} objects", hidden=hidden) as update:
        lock = threading.Lock()
        done_bytes = 0

        def fetched(count: int) -> None:
            nonlocal done_bytes
            with lock:
                done_bytes += count
                if update is not None:
                    update(done_bytes, total_bytes)

        yield fetched, lambda count: None


@contextmanager
def _two_bars(total_bytes: int, objects: int) -> Iterator[tuple[Heard, Heard]]:
    """Bytes that came, and objects that are parts."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from hlhft.data.mining.costs import size_text

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        fetching = shown.add_task("Fetching", total=total_bytes, amount="")
        making = shown.add_task("Writing", total=objects, amount="")
        lock = threading.Lock()
        done = {fetching: 0, making: 0}

        def heard(bar: TaskID, count: int, text: Callable[[int], str]) -> None:
            with lock:
                done[bar] += count
                shown.update(bar, completed=done[bar], amount=text(done[bar]))

        yield (
            lambda count: heard(fetching, count, lambda so_far: f"{size_text(so_far)} of {size_text(total_bytes)}"),
            lambda count: heard(making, count, lambda so_far: f"{so_far:,} of {objects:,} objects"),
        )
