"""Boxes and trajectories: G(r) and g(r) of periodic snapshots, averaged as they are read."""
