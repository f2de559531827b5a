"""Nonlinearities in array code, each read as free data; public as :mod:`conslaw.nn`."""
