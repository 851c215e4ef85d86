"""A model of G(r): phases, an instrument, parameters, and how they become a curve."""
