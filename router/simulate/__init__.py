"""Judging routing in virtual time: workloads, upstreams with a true state, the production router, published rules."""
