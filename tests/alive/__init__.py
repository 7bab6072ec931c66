"""The whole system on a clock: a world, the schedules and sensors over it, a real daemon."""
