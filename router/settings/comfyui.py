"""What only providers of type comfyui are told: their workflows, read from files beside the configuration."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Struct, structs
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from providers.catalogue import Catalogue, ModelInfo
from providers.types import JsonObject, JsonValue
from providers.workflows import Place, Workflow, abilities_of
from router.errors import Problem
from router.settings.document import Document, Loc
from router.settings.fields import Shape, Text
from router.settings.validate import nearest
from router.settings.values import ProviderSettings, Settings

_NUMBERS = ("seed", "width", "height")
_EDITOR = "is saved for the editor: use 'Export (API)' of its workflow menu"


def _place(value: str) -> str:
    node, dot, name = value.rpartition(".")
    if not dot or not node or not name:
        raise ValueError("must be node.input, the node by its id or its title, for example '6.text'")
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Places = Annotated[
    list[Annotated[Text, AfterValidator(_place)]],
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class InputsShape(Shape):
    """Where in the graph the parts of a request go: `node.input`, or several of them."""

    prompt: Places = Field(description="The text to draw.")
    seed: Places = Field(description="The sampler's seed. A new one for every request that names none.")
    negative_prompt: Places = Field(default=[], description="What is not wanted. Without it that goes into the prompt.")
    width: Places = Field(default=[], description="Pixels; together with `height`.")
    height: Places = Field(default=[], description="Pixels; together with `width`.")
    image: Places = Field(
        default=[], description="File names of pictures to edit, one picture each. The workflow then needs them."
    )
    mask: Places = Field(
        default=[], description="File name of the mask: any channel of LoadImageMask, or LoadImage's mask."
    )


class WorkflowShape(Shape):
    """A workflow in API format and its inputs."""

    file: Text = Field(description="JSON of 'Export (API)', counted from the folder of this file.")
    inputs: InputsShape = Field(description="Where in the graph the parts of a request go.")
    output: Text | None = Field(default=None, description="The node whose pictures count. Default: all that save.")


class LoadedWorkflows(Struct, frozen=True):
    """The usable workflows by provider and name, the files they came from, and what is wrong with the others."""

    by_provider: Mapping[str, Mapping[str, Workflow]]
    files: tuple[Path, ...]
    problems: tuple[Problem, ...]


def load_workflows(shapes: Mapping[str, Mapping[str, WorkflowShape]], document: Document) -> LoadedWorkflows:
    """Read every workflow that a provider names."""
    found: dict[str, dict[str, Workflow]] = {}
    files: list[Path] = []
    problems: list[Problem] = []
    for provider, workflows in shapes.items():
        for name, shape in workflows.items():
            reader = _Reader(shape, document, ("providers", provider, "workflows", name))
            workflow = reader.workflow()
            problems += reader.problems
            files.append(reader.path)
            if workflow is not None:
                found.setdefault(provider, {})[name] = workflow
    return LoadedWorkflows(found, tuple(dict.fromkeys(files)), tuple(problems))


def with_workflows(catalogue: Catalogue, workflows: Mapping[str, Mapping[str, Workflow]]) -> Catalogue:
    """`catalogue` with a row for every workflow: what it can do stands in its inputs, its price and pace in its row."""
    rows: dict[str, ModelInfo] = {}
    for provider, named in workflows.items():
        for name, workflow in named.items():
            key = f"{provider}/{name}"
            rows[key] = _described(catalogue.get(key) or ModelInfo(name=name), workflow)
    return {**catalogue, **rows}


def _described(row: ModelInfo, workflow: Workflow) -> ModelInfo:
    return structs.replace(
        row,
        kind="image",
        inputs=frozenset({"text", "image"} if workflow.images else {"text"}),
        outputs=frozenset({"image"}),
        tools=False,
        json_schema=False,
        image=abilities_of(workflow, row.image),
    )


def comfyui_problems(settings: Settings, document: Document) -> Iterator[Problem]:
    """Workflows where none belong, none where some do, and targets that name none."""
    for name, provider in settings.providers.items():
        loc: Loc = ("providers", name)
        given = (*loc, "workflows") in document.lines
        if given and provider.type != "comfyui":
            yield document.problem((*loc, "workflows"), "only providers of type comfyui have 'workflows'")
        elif not given and provider.type == "comfyui":
            yield document.problem(loc, "needs 'workflows': a file and its inputs for each model")
    for model in settings.models.values():
        for index, target in enumerate(model.targets):
            at = settings.providers.get(target.provider)
            if at is not None and at.type == "comfyui":
                yield from _unknown(at, target.model, document, ("models", model.name, "targets", index))


def _unknown(provider: ProviderSettings, model: str, document: Document, loc: Loc) -> Iterator[Problem]:
    named = {each[3] for each in document.lines if each[:3] == ("providers", provider.name, "workflows") and each[3:]}
    if model not in named:
        known = [each for each in named if isinstance(each, str)]
        yield document.problem(loc, f"no workflow {model!r} in provider {provider.name!r}{nearest(model, known)}")


class _Reader:
    """One workflow: its file, and the places in it."""

    def __init__(self, shape: WorkflowShape, document: Document, loc: Loc) -> None:
        self.path = Path(document.file).parent / Path(shape.file).expanduser()
        self.problems: list[Problem] = []
        self._shape = shape
        self._document = document
        self._loc = loc

    def workflow(self) -> Workflow | None:
        """None when anything is wrong; `problems` says what."""
        graph = _graph_in(self.path)
        if isinstance(graph, Problem):
            self.problems.append(graph)
            return None
        inputs = self._shape.inputs
        places = {
            name: tuple(
                place
                for index, text in enumerate(getattr(inputs, name))
                for place in self._at(graph, name, index, text)
            )
            for name in InputsShape.model_fields
        }
        for needed in ("prompt", "seed"):
            if not getattr(inputs, needed):
                self._wrong(("inputs", needed), "must not be empty")
        for missing, beside in (("width", "height"), ("height", "width"), ("image", "mask")):
            if places[beside] and not places[missing]:
                self._wrong(("inputs", beside), f"needs {missing!r} as well")
        output = self._node(graph, self._shape.output, ("output",)) if self._shape.output else ""
        if self.problems or output is None:
            return None
        images = places.pop("image")
        return Workflow(graph=graph, images=images, output=output, **places)

    def _at(self, graph: JsonObject, name: str, index: int, text: str) -> Iterator[Place]:
        """The place that `text` names, if it is one for a value of that kind."""
        title, _, key = text.rpartition(".")
        loc: Loc = ("inputs", name, index)
        node = self._node(graph, title, loc)
        if node is None:
            return
        inputs: dict[str, JsonValue] = graph[node]["inputs"]  # type: ignore[index,call-overload,assignment]
        value = inputs.get(key)
        if key not in inputs:
            self._wrong(loc, f"node {node!r} of {self.path.name} has no input {key!r}{nearest(key, inputs)}")
        elif isinstance(value, list):
            self._wrong(loc, f"{text!r} is wired to node {value[0] if value else '?'!r}: name an input of that one")
        elif name in _NUMBERS and (isinstance(value, bool) or not isinstance(value, int)):
            self._wrong(loc, f"{text!r} is no whole number in {self.path.name}")
        elif name not in _NUMBERS and not isinstance(value, str):
            self._wrong(loc, f"{text!r} is no text in {self.path.name}")
        else:
            yield Place(node, key)

    def _node(self, graph: JsonObject, name: str, loc: Loc) -> str | None:
        """The id of the node that `name` is the id or the title of."""
        if name in graph:
            return name
        titled = [node for node, each in graph.items() if _title(each) == name]
        if len(titled) == 1:
            return titled[0]
        if titled:
            self._wrong(
                loc, f"nodes {', '.join(titled)} of {self.path.name} are all called {name!r}: name one by its id"
            )
        else:
            known = [*graph, *filter(None, map(_title, graph.values()))]
            self._wrong(loc, f"no node {name!r} in {self.path.name}{nearest(name, known)}")
        return None

    def _wrong(self, inner: Loc, message: str) -> None:
        loc = (*self._loc, *inner)
        self.problems.append(self._document.problem(self._document.nearest(loc), message))


def _graph_in(path: Path) -> JsonObject | Problem:
    """The graph in a file of the API's format, or what is wrong with it and where."""
    try:
        text = path.read_text("utf-8")
        graph = json.loads(text)
    except OSError as exc:
        return Problem(str(path), 0, "", f"cannot be read: {exc.strerror or exc}")
    except json.JSONDecodeError as exc:
        return Problem(str(path), exc.lineno, "", f"not JSON: {exc.msg}")
    except UnicodeDecodeError as exc:
        return Problem(str(path), 0, "", f"is not UTF-8 text (byte {exc.start})")
    if not isinstance(graph, dict) or not graph:
        return Problem(str(path), 1, "", "must be a workflow's graph: nodes by their ids")
    if "nodes" in graph and "links" in graph:
        return Problem(str(path), 1, "", _EDITOR)
    for name, node in graph.items():
        for key, kind in (("class_type", str), ("inputs", dict)):
            if not isinstance(node, dict) or not isinstance(node.get(key), kind):
                return Problem(str(path), _line_of(text, name), name, f"is not a node: it has no {key!r}")
    return graph


def _title(node: JsonValue) -> str:
    meta = node.get("_meta") if isinstance(node, dict) else None
    title = meta.get("title") if isinstance(meta, dict) else None
    return title if isinstance(title, str) else ""


def _line_of(text: str, name: str) -> int:
    """The line on which a node of the graph begins."""
    found = re.search(rf"{re.escape(json.dumps(name))}\s*:", text)
    return text.count("\n", 0, found.start()) + 1 if found else 1
