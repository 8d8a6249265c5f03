"""`hlhft data`: recordings and the catalogue, looked at, checked, mended, converted, brought in."""

from __future__ import annotations

import click

from hlhft.cli.data.check import check
from hlhft.cli.data.convert import convert
from hlhft.cli.data.gaps import gaps
from hlhft.cli.data.head import head
from hlhft.cli.data.importing import bring_in
from hlhft.cli.data.ls import ls
from hlhft.cli.data.node import node
from hlhft.cli.data.plot import plot
from hlhft.cli.data.stats import stats


@click.group()
def command() -> None:
    """See what a catalogue holds, check, mend and convert recordings, and bring them in.

    A NAME is a file or folder of a recording, or what to take of the catalogue: 2026-04-01/BTC, 2026-04-01T07/BTC,
    2026-04-01..2026-04-30/BTC,ETH.
    """


for _one in (ls, gaps, head, stats, plot, check, convert, bring_in, node):
    command.add_command(_one)
