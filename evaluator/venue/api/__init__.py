"""The client of the real venue: its three hosts, both versions of its Data API."""
