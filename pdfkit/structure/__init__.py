"""Crystal structures: sites, symmetry, order, and other programs' forms of them."""
