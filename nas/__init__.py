"""Find the network that fits a phone: search, training, runs, export, report and the command line."""

__version__ = "0.1.0"
