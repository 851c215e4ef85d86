"""Projects of PDFgui: read without running anything in them, fitted again, and written."""
