"""The public names by topic. A build stops at a name that stands in none of them."""

TOPICS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "data",
        "Data: G(r), S(Q) and intensities",
        ("PDF", "SQ", "Intensity", "Instrument", "read_pdf", "read_sq", "read_intensity", "write_pdf", "write_sq"),
    ),
    (
        "structures",
        "Structures and particles",
        ("Structure", "Particle", "load_structure", "read_structure", "write_cif", "Sphere"),
    ),
    (
        "models",
        "Phases and models",
        ("Crystal", "Cluster", "Stacked", "Model", "Parameters", "parameters"),
    ),
    (
        "fits",
        "Fits and their results",
        (
            "fit",
            "FitResult",
            "FitSettings",
            "DatasetFit",
            "BondRestraint",
            "ValueRestraint",
            "compare",
            "Comparison",
            "run_recipe",
            "load_recipe",
            "read_project",
            "load_result",
        ),
    ),
    (
        "workbench",
        "The workbench in the browser",
        ("live",),
    ),
    (
        "series",
        "Series of scans",
        ("read_series", "fit_series"),
    ),
    (
        "reduction",
        "From intensities to G(r)",
        ("reduce", "Reduction", "reduce_files"),
    ),
    (
        "screening",
        "Screening of clusters",
        ("screen", "Ranking", "confusion", "Confusion"),
    ),
    (
        "patterns",
        "Small angles, wide angles and powder patterns",
        ("saxs", "waxs", "powder_pattern"),
    ),
    (
        "simulations",
        "Boxes and trajectories of simulations",
        ("read_trajectory",),
    ),
    (
        "checks",
        "Checks, errors and warnings",
        ("verify", "PdfkitError", "PdfkitWarning"),
    ),
)
NAMESPACES: dict[str, str] = {
    "build": "Particles cut from crystals, tetrahedra, searches for a formula, ligands, relaxation",
    "io": "Readers and writers of every kind of file",
    "particles": "Distances, angles, coordination and counts of pairs",
    "patterns": "What else a particle shows: SAXS, WAXS and powder patterns",
    "plot": "Pictures",
    "scattering": "How strongly atoms scatter",
    "shapes": "γ₀(r) of particles of finite size",
    "transforms": "Sine transforms, windows, and conversions of the functions of r and Q",
    "uncertainty": "Bands, profiles, bootstrap and sampling",
}
# Not among the names of `import pdfkit as pk`: imported from where it is.
MODULES: dict[str, str] = {"errors": "Errors by kind, as in `from pdfkit.errors import ReadError`"}
