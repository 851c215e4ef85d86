"""From measured intensities to S(Q) and G(r), one file or many."""
