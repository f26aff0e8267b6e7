"""The long tail of providers, by way of litellm's SDK. Its answers come in OpenAI's shapes and are read as such."""
