"""What a fit found: as a value, as text, on disk."""
