"""Fits described in a TOML file, and what they leave in a folder."""
