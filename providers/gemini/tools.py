"""Tools and `tool_choice` -> function declarations and their calling mode.

Source: https://ai.google.dev/api/caching#Tool and #ToolConfig (read 2026-11-20).
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from providers.catalogue import ModelInfo
from providers.errors import UnsupportedFieldError
from providers.gemini import fields
from providers.gemini.builtin import for_dialect, lost, read_built_in
from providers.gemini.lenient import as_list, as_object, as_text
from providers.gemini.schema import clean, has_parameters
from providers.gemini.schema_subset import to_subset
from providers.gemini.terms import USUAL, Terms
from providers.types import JsonObject, JsonValue

_MAX_NAME = 64
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_TELLING = frozenset({"tools", "functions", "web_search_options"})
_LEGAL = _LETTERS | frozenset("0123456789-")


class Names:
    """Tool names made legal for Google, each to one name only, and the way back."""

    def __init__(self, declared: Iterable[str] = ()) -> None:
        self._wire: dict[str, str] = {}
        # legal names keep themselves before any other is changed into one of them
        for name in declared:
            if is_legal(name):
                self._wire[name] = name

    def wire(self, name: str) -> str:
        """The name on the wire for the caller's `name`."""
        known = self._wire.get(name)
        if known is None:
            known = self._wire[name] = self._fresh(name)
        return known

    def renamed(self) -> dict[str, str]:
        """Wire name -> the caller's, for those that differ."""
        return {wire: name for name, wire in self._wire.items() if wire != name}

    def _fresh(self, name: str) -> str:
        if is_legal(name) and name not in self._wire.values():
            return name
        base = "".join(sign if sign in _LEGAL else "_" for sign in name) or "_"
        base = (base if base[0] in _LETTERS else f"_{base}")[:_MAX_NAME]
        taken = set(self._wire.values())
        candidate, count = base, 1
        while candidate in taken:
            count += 1
            suffix = f"_{count}"
            candidate = base[: _MAX_NAME - len(suffix)] + suffix
        return candidate


def is_legal(name: str) -> bool:
    """OpenAI's own rule, which is narrower than Google's: a letter or underscore first, 64 characters."""
    return bool(name) and len(name) <= _MAX_NAME and name[0] in _LETTERS and all(sign in _LEGAL for sign in name)


class Tooling(Struct, frozen=True, kw_only=True):
    """Everything a request says about tools. `tools` and `config` are ready for the body (empty: leave them out)."""

    names: Names
    tools: list[JsonValue] = []
    config: JsonObject = {}
    schemas: Mapping[str, JsonObject] = {}
    custom: frozenset[str] = frozenset()
    declared: int = 0
    legacy: bool = False


class _Declared(Struct, frozen=True):
    name: str
    description: str
    parameters: JsonValue
    strict: bool
    custom: bool
    param: str


def translate_tools(
    request: Mapping[str, JsonValue], info: ModelInfo, warnings: list[str], terms: Terms = USUAL
) -> Tooling:
    """Declarations, built-in tools and the calling mode. `functions` and `function_call` are read as their successors.

    Raises BadRequestError for malformed tools and for a choice that names an undeclared one, UnsupportedFieldError
    when the model takes no tools or the kind is not known here.
    """
    if _TELLING.isdisjoint(request):
        return Tooling(names=Names())
    legacy = not request.get("tools") and bool(request.get("functions"))
    declared, built_in = _read_functions(request) if legacy else _read_tools(request, warnings)
    if request.get("web_search_options") is not None:
        built_in.setdefault("googleSearch", {})
        warnings.extend(lost("web_search_options", fields.mapping(request, "web_search_options")))
    if declared and not info.tools:
        raise UnsupportedFieldError("this model takes no tools", param="functions" if legacy else "tools")
    names = Names(tool.name for tool in declared)
    declarations: list[JsonValue] = [_declaration(tool, names, info) for tool in declared]
    choice = request.get("function_call" if legacy else "tool_choice")
    config: JsonObject = _calling(choice, declared, names) if declared else {}
    tools: list[JsonValue] = [{"functionDeclarations": declarations}] if declarations else []
    if built_in and declarations and not (_mixes(info) and terms.dialect.server_tools):
        places = [_field_of(name, request) for name in built_in]
        if terms.options.search_with_functions == "refuse":
            raise UnsupportedFieldError("this model takes no built-in tools together with functions", param=places[0])
        warnings.extend(f"{place}=dropped" for place in places)
        built_in = {}
    tools.extend(for_dialect(name, settings, terms.dialect, warnings) for name, settings in built_in.items())
    if built_in and declarations:
        config["includeServerSideToolInvocations"] = True
    return Tooling(
        names=names,
        tools=tools,
        config=config,
        schemas={names.wire(tool.name): as_object(tool.parameters) for tool in declared if not tool.custom},
        custom=frozenset(names.wire(tool.name) for tool in declared if tool.custom),
        declared=len(declared),
        legacy=legacy,
    )


def _mixes(info: ModelInfo) -> bool:
    """Whether built-in tools and functions go together: from generation 3 on. An undescribed model counts as new."""
    return info.family == 0.0 or info.family >= 3.0


def _field_of(name: str, request: Mapping[str, JsonValue]) -> str:
    return "web_search_options" if name == "googleSearch" and "web_search_options" in request else f"tools.{name}"


def _read_tools(request: Mapping[str, JsonValue], warnings: list[str]) -> tuple[list[_Declared], dict[str, JsonValue]]:
    declared: list[_Declared] = []
    built_in: dict[str, JsonValue] = {}
    for position, tool in enumerate(fields.sequence(request, "tools")):
        where = f"tools[{position}]"
        if not isinstance(tool, dict):
            raise fields.refuse("a tool must be an object", where, "invalid_type")
        kind = tool.get("type")
        if kind == "function":
            holder = tool if "name" in tool and "function" not in tool else fields.mapping(tool, "function", where)
            declared.append(_function(holder, f"{where}.function"))
        elif kind == "custom":
            declared.append(_custom(as_object(tool.get("custom")) or tool, f"{where}.custom"))
        else:
            name, settings = read_built_in(tool, where, warnings)
            built_in[name] = settings
    _refuse_duplicates(declared)
    return declared, built_in


def _read_functions(request: Mapping[str, JsonValue]) -> tuple[list[_Declared], dict[str, JsonValue]]:
    declared = [
        _function(as_object(function), f"functions[{position}]")
        for position, function in enumerate(fields.sequence(request, "functions"))
    ]
    _refuse_duplicates(declared)
    return declared, {}


def _refuse_duplicates(declared: list[_Declared]) -> None:
    seen: set[str] = set()
    for tool in declared:
        if tool.name in seen:
            raise fields.refuse("two tools have the same name", f"{tool.param}.name")
        seen.add(tool.name)


def _function(function: JsonObject, where: str) -> _Declared:
    name = _name(function, where)
    parameters = function.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise fields.refuse("'parameters' must be a JSON schema", f"{where}.parameters", "invalid_type")
    return _Declared(
        name, as_text(function.get("description")), parameters, function.get("strict") is True, False, where
    )


def _custom(custom: JsonObject, where: str) -> _Declared:
    """A free-text tool: one required string, with its grammar told in the description."""
    grammar = as_object(as_object(custom.get("format")).get("grammar")) or as_object(custom.get("format"))
    definition = as_text(grammar.get("definition"))
    description = as_text(custom.get("description"))
    if definition:
        syntax = as_text(grammar.get("syntax"))
        description = f"{description}\n\nThe input must follow this {syntax} grammar:\n{definition}"
    parameters: JsonObject = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
    return _Declared(_name(custom, where), description.strip(), parameters, False, True, where)


def _name(holder: JsonObject, where: str) -> str:
    name = holder.get("name")
    if not isinstance(name, str) or not name:
        raise fields.refuse("a tool needs a name", f"{where}.name", "missing_required_parameter")
    return name


def _declaration(tool: _Declared, names: Names, info: ModelInfo) -> JsonObject:
    declaration: JsonObject = {"name": names.wire(tool.name)}
    if tool.description:
        declaration["description"] = tool.description
    if has_parameters(tool.parameters):
        where = f"{tool.param}.parameters"
        if info.json_schema:
            declaration["parametersJsonSchema"] = clean(tool.parameters, where)
        else:
            declaration["parameters"] = to_subset(tool.parameters, where)
    return declaration


def _calling(choice: JsonValue, declared: list[_Declared], names: Names) -> JsonObject:
    """`toolConfig` for a choice. Google refuses a calling mode without declarations: call it only with some."""
    mode, allowed = _mode(choice)
    known = {tool.name for tool in declared}
    for name in allowed:
        if name not in known:
            raise fields.refuse("'tool_choice' names a tool that is not declared", "tool_choice")
    if mode == "AUTO" and (allowed or any(tool.strict for tool in declared)):
        mode = "VALIDATED"  # AUTO refuses a list of names, and only VALIDATED holds calls to their schema
    if mode == "AUTO":
        return {}
    calling: JsonObject = {"mode": mode}
    if allowed:
        calling["allowedFunctionNames"] = [names.wire(name) for name in allowed]
    return {"functionCallingConfig": calling}


def _mode(choice: JsonValue) -> tuple[str, list[str]]:
    match choice:
        case None | "auto":
            return "AUTO", []
        case "none":
            return "NONE", []
        case "required" | "any":
            return "ANY", []
        case {"type": "function" | "custom"} | {"name": str()}:
            return "ANY", [_chosen(as_object(choice))]
        case {"type": "allowed_tools"}:
            holder = as_object(as_object(choice).get("allowed_tools")) or as_object(choice)
            chosen = [_chosen(as_object(tool)) for tool in as_list(holder.get("tools"))]
            return ("ANY" if holder.get("mode") == "required" else "AUTO"), chosen
        case _:
            raise fields.refuse("'tool_choice' is not one of the known forms", "tool_choice")


def _chosen(choice: JsonObject) -> str:
    holder = as_object(choice.get("function")) or as_object(choice.get("custom")) or choice
    name = holder.get("name")
    if not isinstance(name, str):
        raise fields.refuse("'tool_choice' must name a tool", "tool_choice", "missing_required_parameter")
    return name
