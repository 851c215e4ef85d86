"""The command `pdfkit live`: the workbench in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pdfkit._terminal import show
from pdfkit.cli import options as o
from pdfkit.cli.console import Printed
from pdfkit.errors import PdfkitError


def live(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Data and structures (files, or names from `pdfkit structures`), or a recipe (.toml). None: an empty "
            "page.",
            autocompletion=o.structure_names,
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Port on this machine; 0: any that is free.", min=0, max=65535)] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> Printed:
    """Open the workbench in the browser: drag a slider, see G(r) move, press fit.

    The page is served by this command on this machine only, to those who have the address that it prints; it ends with
    Ctrl-C.
    """
    try:
        from pdfkit.live.opening import opened
        from pdfkit.live.server import serve
    except ImportError as error:
        raise PdfkitError(
            f"the workbench needs {error.name}: install it with pip install 'pdfkit-scattering[live]'"
        ) from None

    def tell(url: str) -> None:
        show(f"pdfkit live is at {url} (Ctrl-C ends it)")
        if browser:
            import webbrowser

            webbrowser.open(url)

    folder = Path.cwd()
    serve(folder, opened(files or (), folder), port, tell)
    return Printed("")
