"""Compiled loops over plain arrays. They check nothing, raise nothing and know no crystallography."""
