"""Text for terminals: tables, sparklines, colour, progress."""
