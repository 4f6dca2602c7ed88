"""NetAdapt against a table of known accuracies."""
