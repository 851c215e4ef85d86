"""The command `pdfkit`: `app` has `main`, a room for each group of commands beside it."""
