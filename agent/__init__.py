"""The collector: reads a node's slab caches and pushes snapshots to the aggregator."""
