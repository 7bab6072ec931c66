"""The simulated venue: a deterministic world of agents, and the HTTP service that shows it."""
