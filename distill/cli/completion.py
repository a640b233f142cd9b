"""`distill completion`: the script that teaches a shell the commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="SHELL")
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL: bash, zsh or fish.

    For bash: distill completion bash > ~/.local/share/bash-completion/completions/distill
    """
    made_by = get_completion_class(shell)
    if made_by is None:
        raise click.ClickException(f"this version of click has no completion for {shell}")
    click.echo(made_by(ctx.find_root().command, {}, "distill", "_DISTILL_COMPLETE").source())
