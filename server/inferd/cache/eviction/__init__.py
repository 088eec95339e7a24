"""Who leaves a cache that is full: who is over, then who is least worth keeping."""
