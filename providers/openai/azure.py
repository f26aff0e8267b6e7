"""Where Azure OpenAI serves a model, and by which name. Pure.

Source: learn.microsoft.com/azure/foundry/openai, "API version lifecycle" and the REST reference (read 2026-11-28).
"""

from providers.options import AzureOptions


class Deployments:
    """The deployments of one resource, in the form of paths that its `api_version` stands for.

    A dated version is the older form: every deployment has paths of its own, and the version is in the query. Without
    one, or with a word (`preview`), it is the v1 form: paths as OpenAI's, the deployment named in the body.
    """

    def __init__(self, options: AzureOptions) -> None:
        self._names = options.deployments
        self._query = f"?api-version={options.api_version}" if options.api_version else ""
        self._has_own_paths = options.api_version[:1].isdigit()

    def name_of(self, model: str) -> str:
        """The deployment that serves `model`: the configured one, else one of the same name."""
        return self._names.get(model, model)

    def path(self, path: str, model: str) -> str:
        """Where `path` (`/chat/completions`) lies for `model`, below the resource."""
        if self._has_own_paths:
            return f"/openai/deployments/{self.name_of(model)}{path}{self._query}"
        return f"/openai/v1{path}{self._query}"

    def picture_model(self, model: str) -> str:
        """What a request for pictures says as its model, "" nothing: a deployment's own path takes only the names of
        OpenAI's models there, and refuses the deployment's.
        """
        return "" if self._has_own_paths else self.name_of(model)
