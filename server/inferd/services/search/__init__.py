"""Search: words in, documents out, the best first, while they change."""
