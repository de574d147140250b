"""Tests of the simulator without I/O."""
