"""A seeded model of a fleet's slab caches, healthy and leaking: for the demo, the tests and the benchmarks."""
