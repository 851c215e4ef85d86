"""`python -m pdfkit` is the command `pdfkit`."""

from pdfkit.cli import main

main()
