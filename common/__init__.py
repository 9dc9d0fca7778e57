"""What agent and server share: the slabinfo parser, the snapshot, the wire format, the command line."""

__version__ = "0.1.0"
