"""Prices as they come, and somebody who comes late and sees them all."""
