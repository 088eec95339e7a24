"""What a query asks for: its words as they were meant, and what they stand for."""
