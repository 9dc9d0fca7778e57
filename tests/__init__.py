"""The tests mirror the packages; this file keeps tests/agent from shadowing agent."""
