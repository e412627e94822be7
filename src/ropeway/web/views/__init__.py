"""The pages: each view looks at the store, and returns what it found."""
