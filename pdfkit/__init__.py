"""pdfkit: atomic pair distribution functions."""
