"""`ferflow app`: pictures, videos, the webcam and finished folders in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ferflow.cli.common import DEFAULTS, Model, Output, Verbose, log_to_stderr, parse_path, print_message
from ferflow.cli.extras import check_app_packages
from ferflow.cli.printing import echo
from ferflow.errors import OptionsError


def web_app(
    out: Annotated[
        Path | None,
        typer.Argument(
            parser=parse_path,
            metavar="[OUT]",
            help="Output folder to show, into which videos are analysed.  [default: a temporary one]",
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Port; 0: any free one.", min=0, max=65535, metavar="N")] = 8417,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. Others than this machine's own need --token.", metavar="HOST"
        ),
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(
            help="Answer only those who have this text, of at least 16 characters.",
            metavar="TEXT",
            envvar="FERFLOW_TOKEN",
        ),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the browser.")] = False,
    model: Model = DEFAULTS.model,
    verbose: Verbose = False,
) -> None:
    """Serve a web application on this machine, until Ctrl+C.

    Drop pictures or videos into it, or use the webcam. Without OUT nothing is kept when it ends. The first line of
    stdout is its address; the API is described at /api/docs.
    """
    from ferflow.cli.interrupt import Interrupted, exit_now

    log_to_stderr(Output(verbose=verbose))
    check_app_packages("ferflow app")
    try:
        _serve(out, host, port, token, model, opens_browser=not no_browser)
    except Interrupted:  # before or after requests are answered: Ctrl+C is how this command ends
        exit_now(0)


def _serve(
    out: Path | None, host: str, port: int, token: str | None, model: str, *, opens_browser: bool
) -> None:
    from ferflow.app.server import open_browser, serve
    from ferflow.app.settings import AppSettings

    options = DEFAULTS.updated(model=model, backend="onnx")
    settings = AppSettings(out=out, host=host, port=port, token=token, options=options)
    if out is not None:
        _check_folder(out)
    if model != DEFAULTS.model:
        # Before the address is printed; of the default, which is there, it would only delay that.
        from ferflow.models.registry import resolve

        resolve(model)

    def announce(address: str) -> None:
        echo(address)
        print_message(
            "Ctrl+C ends it. An expression is a movement of the face, not proof of a feeling; inform the people whose "
            f"faces you show. {'Results are kept in ' + str(out) if out else 'Nothing is kept'}."
        )
        if opens_browser:
            open_browser(address)

    serve(settings, announce)


def _check_folder(out: Path) -> None:
    """Refuse what is there and no folder of ferflow's: videos would be written into it."""
    from ferflow.store.output_folder import APP_LOCK, OutputFolder, is_output_folder

    if out.exists() and not out.is_dir():
        raise OptionsError(
            f"{out}: not a folder. Give an output folder of ferflow, or the name of a new one."
        )
    # Of an application that was ended during its first video, or before, that is all there may be.
    is_ours = is_output_folder(out) or OutputFolder(out).uploads.is_dir() or (out / APP_LOCK).is_file()
    if out.is_dir() and not is_ours and any(out.iterdir()):
        raise OptionsError(f"{out}: not an output folder of ferflow. Give one, or the name of a new folder.")
