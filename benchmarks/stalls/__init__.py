"""What each library makes of a task that keeps its process from speaking for three leases."""
