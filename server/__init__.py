"""The aggregator: stores snapshots, compares nodes, names the outliers."""
