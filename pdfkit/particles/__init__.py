"""Finite particles: their atoms, pair distances and geometry."""
