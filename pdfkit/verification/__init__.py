"""Is what this installation computes right? Checks against definitions, laws, limits, peers and files."""
