"""litellm as a library: the one place that imports it, late and once, with all off that is no library's business.

Its import takes two seconds and 150 MB. Left to itself it would ask the network for prices, read a `.env` file from the
working directory, print advice to the terminal and log requests.
"""

import asyncio
import inspect
import logging
import os
import sys
import threading
from types import ModuleType
from typing import Any

_lock = threading.Lock()  # two threads that import it at once could see it half made
_ENVIRONMENT = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
_CALLBACKS = (
    "callbacks", "input_callback", "success_callback", "failure_callback", "service_callback",
    "_async_input_callback", "_async_success_callback", "_async_failure_callback",
)  # fmt: skip
_SETTINGS = {
    "drop_params": False,  # what is dropped, and with which warning, is decided by `arguments.py`
    "modify_params": False,
    "suppress_debug_info": True,
    "turn_off_message_logging": True,
    "redact_messages_in_exceptions": True,
    "disable_aiohttp_trust_env": True,  # no proxies of the environment: they would see every key
    "use_litellm_proxy": False,
    "user_url_validation": True,
    "cache": None,
    "num_retries": 0,
}
# They log prompts, keys or the address of every request; what fails is reported by the router.
_LOGGERS = {
    **dict.fromkeys(("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"), logging.CRITICAL + 1),
    **dict.fromkeys(("openai", "httpx"), logging.WARNING),
}


def load_litellm() -> ModuleType:
    """The module, set up. Takes two seconds the first time: call it in a thread. Safe from several threads."""
    with _lock:
        if "litellm" not in sys.modules:
            os.environ.update(_ENVIRONMENT)
        # inside the function: most processes never need it, and none at start
        import litellm

        for name in _CALLBACKS:
            setattr(litellm, name, [])
        for name, value in _SETTINGS.items():
            setattr(litellm, name, value)
        for name, level in _LOGGERS.items():
            logging.getLogger(name).setLevel(level)
        module: ModuleType = litellm
        return module


async def close_clients(litellm: Any) -> None:
    """Close the HTTP clients that litellm keeps for this event loop.

    It keeps those of all loops in one table, and its own way of closing them takes the clients of others along.
    """
    kept = litellm.in_memory_llm_clients_cache
    for key in [key for key in kept.cache_dict if key.endswith(f"-{id(asyncio.get_running_loop())}")]:
        client = kept.cache_dict.pop(key)
        kept.ttl_dict.pop(key, None)
        closed = client.close() if hasattr(client, "close") else None
        if inspect.isawaitable(closed):
            await closed
