"""Commands on measurements: `pdfkit compare`. `cli` registers them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    recipes: Annotated[list[Path], typer.Argument(metavar="RECIPE.toml...", help="Rival models of the same data.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of table and picture.")] = Path(
        "pdfkit-compare"
    ),
) -> None:
    """Fit the same data as several recipes say, and weigh the models against each other: table, CSV and one picture."""
    from pdfkit import _outputs, _plot_comparison
    from pdfkit._progress import progress
    from pdfkit.comparison import Comparison
    from pdfkit.errors import PdfkitError
    from pdfkit.io._atomic import write_text
    from pdfkit.recipe import fit_recipe, load_recipe

    if len(recipes) < 2:
        raise PdfkitError("a comparison needs two recipes at least: name them all")
    loaded = {path.stem: load_recipe(path) for path in recipes}
    if len(loaded) < len(recipes):
        raise PdfkitError("two of the recipes have the same name: rename one, for it names the model")
    with _outputs.folder(out) as folder:
        results = {}
        for name, recipe in loaded.items():
            with progress() as tell:
                results[name] = fit_recipe(recipe, tell)
        found = Comparison.of(results)
        files = [write_text(folder / "comparison.txt", found.table() + "\n"), found.to_csv(folder / "comparison.csv")]
        _plot_comparison.comparison(found, folder / "comparison.png")
    print(found.table())
    print("\nfiles:", *(f"  {file}" for file in [*files, folder / "comparison.png"]), sep="\n")
