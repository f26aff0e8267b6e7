"""Adapters: each speaks one upstream protocol. Usable without `router/`."""
