"""The commands of the terminal that talk to a server or to files; each imports only what it uses."""
