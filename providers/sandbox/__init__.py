"""Simulated upstreams that speak the providers' real wires over a loopback socket. See `app.create_sandbox`."""
