"""Tests of the agent: fake trees for /proc and /sys, real sockets for HTTP, injected clocks."""
