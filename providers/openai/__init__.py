"""Any upstream that speaks OpenAI's wire: OpenAI, XRoute, OpenRouter, vLLM, another router."""
