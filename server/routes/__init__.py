"""The front door: one file for each part of the HTTP interface."""
