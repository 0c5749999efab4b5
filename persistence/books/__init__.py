"""What one commit does to the rows of the books: facts, movements, orders, balances, quarantine, gaps, events."""
