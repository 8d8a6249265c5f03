"""A command group that imports a command's module only when that command runs, so that help appears at once."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping

import click
from click.shell_completion import CompletionItem


class LazyGroup(click.Group):
    """Commands named in a table: the command `name` is the attribute `command` of the module `<package>.<name>`.

    `summaries` maps each command's name to its one line of help, in the order of `--help`.
    """

    def __init__(self, *, package: str, summaries: Mapping[str, str], **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.package = package
        self.summaries = summaries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(self.summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports and returns the command; None when the table does not have it.

        Raises UsageError when the table has it and this installation does not.
        """
        if cmd_name not in self.summaries:
            return None
        module_name = f"{self.package}.{cmd_name}"
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name != module_name:
                raise
            raise click.UsageError(f"The command '{cmd_name}' is not part of this installation.", ctx) from error
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"{module_name}.command is not a command of click")
        command.short_help = self.summaries[cmd_name]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, and an unknown name suggests the nearest known one."""
        name = str(args[0])
        if name not in self.summaries and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, self.summaries, n=1)
            known = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(self.summaries)}."
            ctx.fail(f"No such command '{name}': {known}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the table's names and lines without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The names that begin with `incomplete`, and the group's own options."""
        known = self.summaries.items()
        names = [CompletionItem(name, help=line) for name, line in known if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]
