"""What each asset computes: from a snapshot of the lake through the domain to a commit.

Runs without Dagster; no formula lives here.
"""
