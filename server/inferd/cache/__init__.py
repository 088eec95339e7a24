"""What is kept outside this process: Redis, and what is counted in it."""
