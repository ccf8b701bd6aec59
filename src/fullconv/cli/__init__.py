"""The command line. Each command is a file, and is imported only when it is called."""

import importlib
import sys

import click

from fullconv.errors import FullconvError, hint

COMMANDS = {
    "demo": "The whole job on scenes made here: train, evaluate, predict, report.",
    "train": "Train a network on a folder of pictures and masks.",
    "evaluate": "Measure a model on the masks of a data set.",
    "predict": "Label every pixel of pictures of any size.",
    "serve": "Serve a model over HTTP, to people and programs.",
    "quantize": "Make an int8 version of a model, and measure it.",
    "export": "Write a model as ONNX, OpenVINO or torch.export.",
    "import": "Take over an FCN of torchvision or MMSegmentation.",
    "models": "List the architectures, or describe one.",
    "explain": "Show where a network looks, and what upsampling and convolution do.",
    "report": "Write a run's report.html anew.",
    "data": "Fetch, make and inspect data sets.",
    "bench": "Measure this machine, as ratios to peers and floors.",
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and summaries without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        # Python has a word of its own that is spelt "import".
        name = "import_model" if cmd_name == "import" else cmd_name
        return getattr(importlib.import_module(f"fullconv.cli.{name}"), name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise click.UsageError(f"no command {args[0]!r}; {hint(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fullconv", prog_name="fullconv")
def cli() -> None:
    """Fully convolutional networks for semantic segmentation.

    Start with 'fullconv demo', then 'fullconv train YOUR_FOLDER --out runs/first'.
    """


def main(args: list[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 1 a clear error, 2 wrong usage, 3 a fellow process ended, 130 interrupted."""
    words = sys.argv[1:] if args is None else args
    try:
        sys.exit(cli.main(args=words, obj=words, prog_name="fullconv", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except FullconvError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(1)
