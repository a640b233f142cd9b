"""`distill completion`: the script that teaches a shell the commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="SHELL")
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL: bash, zsh or fish.

    With it the Tab key completes commands and options. A new shell reads it, or source the file.

    \b
    distill completion bash > ~/.local/share/bash-completion/completions/distill
    distill completion zsh > ~/.zfunc/_distill        # a folder of $fpath
    distill completion fish > ~/.config/fish/completions/distill.fish
    """
    made_by = get_completion_class(shell)
    if made_by is None:
        raise click.ClickException(f"this version of click has no completion for {shell}")
    click.echo(made_by(ctx.find_root().command, {}, "distill", "_DISTILL_COMPLETE").source())
