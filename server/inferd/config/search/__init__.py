"""Search: what is indexed, how queries are understood, and how what is found is ranked."""
