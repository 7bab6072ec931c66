"""Finds the Polymarket wallets worth following, and proves it."""
