"""How long the event loop of a real server process is kept from its work while it is pushed to and asked."""
