"""The command line: `evaluator run`, and the questions a person asks of the tables."""
