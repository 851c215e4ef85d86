"""`python -m pdfkit` is the command `pdfkit`."""

from pdfkit.cli.app import main

main()
