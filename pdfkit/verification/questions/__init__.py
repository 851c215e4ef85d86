"""What the rows of `pdfkit verify --files` ask, by area."""
