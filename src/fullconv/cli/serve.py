"""fullconv serve"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fullconv.cli import options

if TYPE_CHECKING:
    from fullconv.inference.segmenter import Segmenter
    from fullconv.labels import LabelSet
    from fullconv.serving.settings import Settings

TOKEN = "FULLCONV_TOKEN"


@click.command()
@click.argument("model")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen at; 0.0.0.0: all of the machine's.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any that is free."
)
@click.option(
    "--name",
    default=None,
    help="Of the model, in addresses of the Open Inference Protocol; default: its folder's.",
)
@click.option(
    "--queue",
    type=click.IntRange(min=0),
    default=32,
    show_default=True,
    help="Requests that may wait; more are refused with 503 and Retry-After.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="A request is answered within it, or refused with 504.",
)
@click.option(
    "--max-mb",
    type=click.FloatRange(min=0, min_open=True),
    default=32.0,
    show_default=True,
    help="Of a picture's file.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=50_000_000,
    show_default=True,
    help="Of a picture; checked before it is decoded.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    default=None,
    help=f"Holds the token that requests must bear; or set {TOKEN}.",
)
@click.option(
    "--no-token",
    is_flag=True,
    help="Let everyone on the network use the service; without a token only --host 127.0.0.1 is served otherwise.",
)
@options.engine
@options.device
@options.precision
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=None,
    help="Of the network, on a CPU; default: a core each.",
)
@click.option(
    "--examples",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FOLDER",
    help="Pictures that the page offers to begin with.",
)
@click.option(
    "--collect",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FOLDER",
    help="Takes pictures and the masks that are corrected on the page: a data folder for train; made where missing.",
)
@click.option(
    "--classes",
    default=None,
    metavar="NAMES",
    help="What to collect, in place of the model's classes: names joined by commas, the one of most pixels first.",
)
@click.option(
    "--watch",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FOLDER",
    help="Pictures to be corrected, offered on the page, those first of which the model is least sure.",
)
@click.option(
    "--log",
    type=click.Choice(["auto", "json", "text"]),
    default="auto",
    show_default=True,
    help="A line for each request, on stderr; auto: text on a terminal, JSON elsewhere.",
)
def serve(
    model: str,
    host: str,
    port: int,
    name: str | None,
    queue: int,
    timeout: float,
    max_mb: float,
    max_pixels: int,
    token_file: Path | None,
    no_token: bool,
    engine: str,
    device: str,
    precision: str,
    threads: int | None,
    examples: Path | None,
    collect: Path | None,
    classes: str | None,
    watch: Path | None,
    log: str,
) -> None:
    """Serve MODEL over HTTP: a page for people, an interface for programs.

    Prints the address. The service answers at once; it is ready once /v2/health/ready says so. SIGTERM and Ctrl-C let the
    requests under way finish.

    \b
    fullconv serve camvid --watch photos --collect street
    fullconv serve animals --watch photos --collect bags --classes background,bag
    curl -F image=@photo.jpg 'http://127.0.0.1:8000/v1/predict?output=mask' -o mask.png
    """
    import sys

    from fullconv.serving.settings import LOOPBACK, Settings

    token, is_local = read_token(token_file), host in LOOPBACK
    if token is None and not (is_local or no_token):
        raise click.UsageError(
            f"at --host {host} the whole network may use the service; give it a --token-file, or set {TOKEN}, or say "
            "--no-token"
        )
    if classes is not None and collect is None:
        raise click.UsageError("--classes are those to collect; give a folder: --collect FOLDER")
    settings = Settings(
        name=name or Path(model).resolve().name,
        queue=queue,
        timeout=timeout,
        max_bytes=int(max_mb * 2**20),
        max_pixels=max_pixels,
        token=token,
        hosts=LOOPBACK if is_local and token is None else frozenset(),
        collect=collect,
        watch=watch,
        examples=examples,
    )
    form = log if log != "auto" else "text" if sys.stderr.isatty() else "json"
    own = None if classes is None else classes.split(",")
    run(model, own, host, port, settings, (device, precision, engine), threads, form)


def run(
    model: str,
    classes: list[str] | None,
    host: str,
    port: int,
    settings: "Settings",
    options: tuple[str, str, str],
    threads: int | None,
    log: str,
) -> None:
    """Serves until it is stopped; `classes` are those to collect, where they are others than the model's; `options` are device,
    precision and engine.
    """
    from fullconv.bundle import find_bundle

    folder = find_bundle(model)
    check_packages()

    import torch

    from fullconv.cli.console import say
    from fullconv.labels import LabelSet
    from fullconv.serving import connections
    from fullconv.serving.app import create_app
    from fullconv.serving.logs import set_up_logging

    if threads is not None:
        torch.set_num_threads(threads)
    device, precision, engine = options
    labels = None if classes is None else LabelSet.from_names([name.strip() for name in classes])
    app = create_app(lambda: segmenter_of(folder, labels, device, precision, engine), settings)
    listener = connections.listen(host, port)
    set_up_logging(log)
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{listener.getsockname()[1]}", flush=True)
    try:
        connections.serve(app, listener)
    except KeyboardInterrupt:
        say("interrupted")
        os._exit(130)  # a network that is still at work would hold up the exit


def segmenter_of(
    folder: Path, labels: "LabelSet | None", device: str, precision: str, engine: str
) -> "Segmenter":
    """The model's segmenter, or one of its network for other labels, which are yet to be learnt."""
    from fullconv.bundle import load_bundle
    from fullconv.inference.segmenter import Segmenter, load
    from fullconv.training.initial import unlearnt

    if labels is None:
        return load(folder, device, precision, engine=engine)
    source = load_bundle(folder)
    model = unlearnt(source, labels)
    return Segmenter(
        model, labels, source.preprocessing, device, precision, engine=engine, extra=source.extra
    )


def check_packages() -> None:
    """
    Raises:
        ConfigError: the packages of the service are not installed.
    """
    import importlib.util

    from fullconv.errors import ConfigError

    for name in ("fastapi", "uvicorn", "prometheus_client", "python_multipart"):
        if importlib.util.find_spec(name) is None:
            raise ConfigError(f"the service needs {name}; run: pip install 'fullconv[serve]'")


def read_token(file: Path | None) -> str | None:
    """The token of a file, or of the environment; None: there is none.

    Raises:
        ConfigError: it cannot be read, or no header can bear it.
    """
    from fullconv.errors import ConfigError

    where = TOKEN if file is None else str(file)
    if file is None:
        token = os.environ.get(TOKEN)
        if token is None:
            return None
    else:
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: the token cannot be read ({error}); check the file") from None
    if not token or not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigError(f"{where}: expected a token of ASCII letters, digits and signs, without spaces")
    return token
