"""Stable Diffusion on a server of one's own: A1111, Forge and sd-server."""
