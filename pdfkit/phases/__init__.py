"""Kinds of phases, one file each."""
