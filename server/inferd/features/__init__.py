"""What is known of users, merchants, items: declared in a file, kept in a store, read in time."""
