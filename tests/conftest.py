"""Fixtures for every test: a running router with the shipped configuration, and a factory for others."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from harness import Turnout
from image_matrix import configuration

from providers.sandbox.config import SandboxConfig


@pytest.fixture(scope="session")
def shared_router() -> Iterator[Turnout]:
    """One router with the shipped configuration for the whole run. Tests take `router` instead."""
    with Turnout() as turnout:
        yield turnout


@pytest.fixture
def router(shared_router: Turnout) -> Turnout:
    """The shipped configuration on a socket, with no faults in force and an empty request log.

    The process is shared: what breaks an upstream here would be remembered in later tests. Use `turnout` for that.
    """
    shared_router.clear()
    return shared_router


@pytest.fixture(scope="session")
def shared_backends() -> Iterator[Turnout]:
    """One router with every image backend (`image_matrix`) for the whole run. Tests take `backends` instead."""
    with Turnout(configuration(), sandbox=SandboxConfig(job_s=0.0)) as turnout:
        yield turnout


@pytest.fixture
def backends(shared_backends: Turnout) -> Turnout:
    """Every image backend behind one router, with no faults in force and an empty request log."""
    shared_backends.clear()
    return shared_backends


@pytest.fixture
def turnout() -> Iterator[Callable[..., Turnout]]:
    """A factory of routers that stop with the test: takes what `harness.Turnout` takes, gives it started."""
    with ExitStack() as stack:

        def start(*args: object, **options: object) -> Turnout:
            return stack.enter_context(Turnout(*args, **options))  # type: ignore[arg-type]

        yield start
