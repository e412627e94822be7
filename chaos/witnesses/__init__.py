"""Those who see what a backend really does; which one is there is a matter of the place."""
