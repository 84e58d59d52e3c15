"""What jobs cost, and how rows are packed into them."""
