"""The worker: a supervisor that does all input and output, and children that run user code."""
