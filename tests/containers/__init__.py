"""The container files: what they promise (in `make test`), and the real thing (in `make test-containers`)."""
