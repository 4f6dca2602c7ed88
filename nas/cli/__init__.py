"""The command line: one module per command, registered in `nas.cli.app`."""
