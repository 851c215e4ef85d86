"""Least squares: data sets, problem, whitening, uncertainty, comparison."""
