"""CIF files."""
