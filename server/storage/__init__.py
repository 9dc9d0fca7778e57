"""The archive: storage engines behind one narrow protocol (base.py)."""
