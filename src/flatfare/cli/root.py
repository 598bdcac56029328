"""The root command: finds the nouns beside it, reads the settings once, and hands them on."""

import difflib
import importlib
import keyword
import pkgutil
import re
from pathlib import Path

import click

from flatfare import __version__
from flatfare.cli.options import asks_no_command, place_options

_FOLDER = Path(__file__).parent
_NOT_COMMANDS = {"root", "output", "fitting", "options", "sampling", "bulk_runs", "report_table"}


class Nouns(click.Group):
    """A group whose commands are the modules of this package that hold a command of their own name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        names = {module.name for module in pkgutil.iter_modules([str(_FOLDER)])} - _NOT_COMMANDS
        return sorted(name.rstrip("_").replace("_", "-") for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        name = _module_of(cmd_name)
        command = getattr(importlib.import_module(f"flatfare.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return _placed(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _brief(name)) for name in self.list_commands(ctx)])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing and args and asks_no_command(args):
            args = ["summary", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


def _module_of(command: str) -> str:
    name = command.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


def _brief(command: str) -> str:
    """What a command does, from the first line of its module, which need not be imported for that."""
    source = (_FOLDER / f"{_module_of(command)}.py").read_text(encoding="utf-8")
    return source.removeprefix('"""').partition("\n")[0].partition(": ")[2].rstrip('."')


def _placed(command: click.Command) -> click.Command:
    """The command, and every command below it, with the options that work everywhere."""
    own = {param.name for param in command.params}
    command.params.extend(option for option in place_options() if option.name not in own)
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _placed(below)
            below.short_help = below.short_help or _first_sentence(below.help or "")
    return command


def _first_sentence(text: str) -> str:
    """Without its full stop; click would cut it where a line ends."""
    return re.split(r"\.(?:\s|$)|\n\n", text.strip(), maxsplit=1)[0].replace("\n", " ")


@click.group(cls=Nouns, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="flatfare")
@click.pass_context
def root(ctx: click.Context) -> None:
    """The meter, the contract and the receipt for LLM work.

    Without a command: spend, cost per verified outcome, and what needs attention; as data with --json or
    --csv.
    """
    if ctx.invoked_subcommand is None:
        summary = root.get_command(ctx, "summary")
        assert summary is not None
        ctx.invoke(summary)


root.params.extend(place_options())
