"""Payment links over HTTP: what they take, what they show, and their routes."""
