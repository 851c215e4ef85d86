"""Settings of the documentation site: `python -m sphinx -W docs build/site`; see README.md beside this file."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent)]

import pdfkit  # noqa: E402

project = "pdfkit"
author = "the pdfkit developers"
copyright = "2026, the pdfkit developers"
release = pdfkit.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_design", "generated", "docstrings", "mathml", "links"]
exclude_patterns = ["README.md", "extensions/*"]
nitpicky = False
smartquotes = False  # `--list` and {"Na": 1} are to be typed as they stand

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
nb_execution_mode = "off"  # `generated` runs the notebooks, several at a time, and keeps what they gave
nb_merge_streams = True
suppress_warnings = ["myst.strikethrough"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {"Array": "Array"}
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = "pdfkit"
html_static_path = ["_static"]
html_css_files = ["pdfkit.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "navigation_depth": 3,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
