"""Export: a network, or a network of a run, as a file for a phone's runtime."""
