"""What a job of the stand-in computes: programs, samples and expectation values."""
