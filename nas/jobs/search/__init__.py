"""Search: ask a strategy, price and score what it proposes, export the winner."""
