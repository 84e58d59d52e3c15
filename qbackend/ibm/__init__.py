"""What qhc asks of IBM Quantum's services."""
