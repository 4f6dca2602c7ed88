"""Rank networks with a supernet and compare with known accuracies."""
