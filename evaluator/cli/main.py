"""The command `evaluator`: all commands, and the one place where errors are shown.

A command loads what it runs: only `run` and `status` wait for Dagster.
"""

import sys

import click

from evaluator.cli import events, questions, run, simulation, status
from evaluator.domain.errors import EvaluatorError
from evaluator.terminal import problems


@click.group(no_args_is_help=True, context_settings={"max_content_width": 100})
@click.version_option(package_name="evaluator")
def evaluator() -> None:
    """Find the Polymarket wallets worth following, and prove it."""


for _command in (
    run.run,
    questions.sql,
    questions.rank,
    questions.show_wallet,
    questions.personas,
    questions.funnel,
    questions.markets,
    status.show_status,
    events.events,
    simulation.sim,
):
    evaluator.add_command(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run one command; leave with 0, 1 where a run has failed, or 2 for a mistake."""
    try:
        code = evaluator.main(arguments, prog_name="evaluator", standalone_mode=False)
    except EvaluatorError as error:
        problems.show(error)
        code = problems.USER_ERROR
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        code = problems.USER_ERROR
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "evaluator"
        problems.show_lines(error.format_message().rstrip("."), f"{where} --help")
        code = problems.USER_ERROR
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except BrokenPipeError:  # the reader, `head` for instance, has enough
        sys.stderr.close()
        code = 0
    sys.exit(code if isinstance(code, int) else 0)
