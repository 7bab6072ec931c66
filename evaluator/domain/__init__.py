"""What the numbers mean: pure functions over frames, without IO, clock or environment."""
