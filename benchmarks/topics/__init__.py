"""How quick topics are: publishing, one subscription, several together, and from one end to the other."""
