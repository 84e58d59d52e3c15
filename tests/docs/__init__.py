"""What the pages say: their links, their blocks of code, and the recipe's keys."""
