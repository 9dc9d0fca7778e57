"""A server under load for minutes or hours: pushes, readers, kills and restarts, and checks at the end."""
