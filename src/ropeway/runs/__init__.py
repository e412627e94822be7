"""Runs of workflows: what is kept of them, how they stand, and what a person does to them."""
