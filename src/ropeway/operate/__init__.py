"""What an operator sees and does: shared by the command line, the dashboard and its JSON API."""
