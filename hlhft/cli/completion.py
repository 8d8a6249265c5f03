"""`hlhft completion SHELL`: the script that teaches a shell to complete hlhft's commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash: hlhft completion bash > ~/.local/share/bash-completion/completions/hlhft
    zsh:  hlhft completion zsh > "${fpath[1]}/_hlhft"
    fish: hlhft completion fish > ~/.config/fish/completions/hlhft.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"This version of click cannot complete for {shell}.", ctx)
    root = ctx.find_root()
    click.echo(kind(root.command, {}, "hlhft", "_HLHFT_COMPLETE").source())
