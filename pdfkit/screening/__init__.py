"""Which of many candidates describe a measured G(r)."""
