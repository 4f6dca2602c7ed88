"""Compare: several strategies, several seeds each, at equal evaluations on a table of accuracies or a predictor."""
