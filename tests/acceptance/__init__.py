"""The client and the stages together, over real HTTP, against a venue that fails."""
