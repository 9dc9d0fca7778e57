"""How often leaks are found, and how often healthy nodes are accused: our method and five known ones, side by side."""
