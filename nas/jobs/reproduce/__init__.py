"""Recreated experiments: pipelines of the project's own jobs, ending in a page beside the paper's figures."""
