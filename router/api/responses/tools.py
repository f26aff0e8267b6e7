"""Tools and `tool_choice` of a Responses request -> the chat request's, and the names of calls back again."""

from collections.abc import Mapping

from providers.types import JsonObject, JsonValue
from router.api.responses.parts import refuse, text_of

_SEARCH = ("web_search", "web_search_preview", "web_search_2025_08_26", "web_search_preview_2025_03_11")
_PASSED = frozenset({"google_search", "code_execution", "url_context", "google_maps"})  # Google's own, by these names
_JOINT = "__"  # between a namespace and a name: legal in every upstream's tool names


class Toolbox:
    """One request's tools. `declared` are chat tools; `search` are `web_search_options`, None without that tool;
    `draws`: pictures may be answered. `places` leads from chat paths to the caller's."""

    def __init__(self) -> None:
        self.declared: list[JsonValue] = []
        self.search: JsonObject | None = None
        self.draws = False
        self.places: dict[str, str] = {}
        self.warnings: list[str] = []
        self._namespaced: dict[str, tuple[str, str]] = {}

    def read(self, tools: JsonValue, where: str) -> None:
        """A whole array of tools, which stands at `where`. Raises 400 naming the tool."""
        if tools is None:
            return
        if not isinstance(tools, list):
            raise refuse(f"'{where}' must be a list", where, "invalid_type")
        for index, tool in enumerate(tools):
            self._tool(tool, f"{where}[{index}]")

    def chat_name(self, name: str, namespace: JsonValue) -> str:
        """The chat tool's name for one of a namespace; `namespace` None: the name itself."""
        return f"{namespace}{_JOINT}{name}" if isinstance(namespace, str) and namespace else name

    def own_name(self, chat_name: str) -> JsonObject:
        """`name`, and `namespace` where it has one, as the caller declared them."""
        found = self._namespaced.get(chat_name)
        return {"name": chat_name} if found is None else {"name": found[1], "namespace": found[0]}

    def choice(self, choice: JsonValue) -> JsonValue:
        """The chat request's `tool_choice`. Raises 400 for a tool that nobody here can be made to use."""
        if not isinstance(choice, dict):
            return choice
        match choice.get("type"):
            case "function" | "custom" as kind:
                return self._chosen(choice, str(kind), "tool_choice")
            case "allowed_tools":
                tools = choice.get("tools")
                if not isinstance(tools, list):
                    raise refuse("'tool_choice.tools' must be a list", "tool_choice.tools", "invalid_type")
                allowed: list[JsonValue] = []
                for index, tool in enumerate(tools):
                    where = f"tool_choice.tools[{index}]"
                    if not isinstance(tool, dict) or tool.get("type") not in ("function", "custom"):
                        raise refuse(f"'{where}.type' must be function or custom", where)
                    allowed.append(self._chosen(tool, str(tool["type"]), where))
                mode = choice.get("mode", "auto")
                return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}
            case "image_generation" if self.draws:
                return None  # a model that draws is asked in any case
            case _:
                raise refuse("'tool_choice' must name a function or custom tool", "tool_choice", "unsupported_value")

    def _chosen(self, choice: JsonObject, kind: str, where: str) -> JsonObject:
        name = self.chat_name(text_of(choice, "name", where), choice.get("namespace"))
        return {"type": kind, kind: {"name": name}}

    def _tool(self, tool: JsonValue, where: str) -> None:
        if not isinstance(tool, dict):
            raise refuse(f"'{where}' must be an object", where, "invalid_type")
        kind = tool.get("type")
        match kind:
            case "function":
                self._declare(tool, "function", _function(tool), where)
            case "custom":
                self._declare(tool, "custom", _custom(tool), where)
            case "namespace":
                self._namespace(tool, where)
            case str() if kind in _SEARCH:
                self._search(tool, where)
            case "tool_search":  # every tool that is declared is shown to the model anyway
                self.warnings.append(f"{where}=dropped")
            case "image_generation":
                self.draws = True
                self.warnings.extend(f"{where}.{name}=dropped" for name in tool if name != "type")
            case str() if kind in _PASSED:
                self.places[f"tools[{len(self.declared)}]"] = where
                self.declared.append(tool)
            case None:
                raise refuse(f"'{where}.type' is required", f"{where}.type", "missing_required_parameter")
            case _:
                field = f"{where}.type"
                raise refuse(
                    f"'{field}': tools of type {str(kind)[:40]!r} run at OpenAI and not here; declare a function",
                    field,
                    "unsupported_value",
                )

    def _declare(self, tool: JsonObject, kind: str, inner: JsonObject, where: str, namespace: str = "") -> None:
        name = text_of(tool, "name", where)
        if namespace:
            inner["name"] = self.chat_name(name, namespace)
            self._namespaced[str(inner["name"])] = (namespace, name)
        own = f"tools[{len(self.declared)}]"
        for path in (own, f"{own}.{kind}"):
            self.places[path] = where
        self.declared.append({"type": kind, kind: inner})

    def _namespace(self, tool: JsonObject, where: str) -> None:
        """A group of functions: each by its group's name and its own, with the group's description before its own."""
        namespace, inside = text_of(tool, "name", where), tool.get("tools")
        if not isinstance(inside, list):
            raise refuse(f"'{where}.tools' must be a list", f"{where}.tools", "invalid_type")
        about = tool.get("description")
        for index, each in enumerate(inside):
            path = f"{where}.tools[{index}]"
            kind = each.get("type") if isinstance(each, dict) else None
            if not isinstance(each, dict) or kind not in ("function", "custom"):
                raise refuse(f"'{path}.type' must be function or custom", f"{path}.type", "unsupported_value")
            inner = _function(each) if kind == "function" else _custom(each)
            told = [text for text in (about, inner.get("description")) if isinstance(text, str) and text]
            if told:
                inner["description"] = "\n\n".join(told)
            self._declare(each, str(kind), inner, path, namespace)

    def _search(self, tool: JsonObject, where: str) -> None:
        """Search of the web. Where the caller forbids to go there (`external_web_access`), nobody here can search."""
        if tool.get("external_web_access") is False:
            self.warnings.append(f"{where}=dropped")
            return
        self.places["web_search_options"] = where
        self.search = {}
        for name, value in tool.items():
            if value is None or name in ("type", "external_web_access"):
                continue
            if name == "search_context_size":
                self.search[name] = value
            elif name == "user_location" and isinstance(value, dict):
                near: JsonObject = {key: part for key, part in value.items() if key != "type" and part is not None}
                self.search[name] = {"type": "approximate", "approximate": near}
            else:
                self.warnings.append(f"{where}.{name[:64]}=dropped")


def _function(tool: Mapping[str, JsonValue]) -> JsonObject:
    return {key: tool[key] for key in ("name", "description", "parameters", "strict") if tool.get(key) is not None}


def _custom(tool: Mapping[str, JsonValue]) -> JsonObject:
    """A free-text tool; its grammar, flat here, is an object of its own in the chat request."""
    inner: JsonObject = {key: tool[key] for key in ("name", "description") if tool.get(key) is not None}
    match tool.get("format"):
        case {"type": "grammar", "syntax": syntax, "definition": definition}:
            inner["format"] = {"type": "grammar", "grammar": {"syntax": syntax, "definition": definition}}
        case dict() as other:
            inner["format"] = other
    return inner
