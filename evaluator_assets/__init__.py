"""The pipeline as Dagster assets: how it runs. What the numbers mean is in `evaluator`."""
