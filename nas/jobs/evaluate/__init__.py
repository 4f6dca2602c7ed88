"""Evaluating weights or an exported file on a data set."""
