"""Where a catalogue is, as users say it: a folder, or for commands that only read, an address as s3://BUCKET/PREFIX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hlhft.config.settings import Config
    from hlhft.data.addresses import RemotePath


class CatalogueType(click.Path):
    """A folder's path, or an address as it was said: as a path it would lose a slash."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click's for a path."""
        from hlhft.data.addresses import is_address

        return value if is_address(value) else super().convert(value, param, ctx)


def read_from(said: Path | str | None, config: Config) -> Path | RemotePath:
    """Where a command reads the catalogue: as said, else as the settings say. Raises DataError for no such address."""
    from hlhft.data.addresses import place_at

    return place_at(config.data.catalogue if said is None else said)


def written_to(said: Path | None, config: Config) -> Path:
    """The folder that a command writes the catalogue in. Raises UsageError where the settings name an address."""
    from hlhft.data.addresses import is_address

    if said is not None:
        return said
    if is_address(config.data.catalogue):
        raise click.UsageError(
            f"data.catalogue is {config.data.catalogue}, which is only read: name a folder with --catalogue"
        )
    return Path(config.data.catalogue)
