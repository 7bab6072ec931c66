"""One file per outside thing: configuration and lifetime, nothing else."""
