"""A photo is uploaded, and three that know nothing of each other react; friendships too."""
