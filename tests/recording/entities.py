"""Draw the entity diagram of Django models from what the models say of themselves."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from django.db.models import UniqueConstraint

from tests.recording.diagram import draw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model

# The end of a line: how many rows may stand there, in words and as a crow's foot.
ONE, MAYBE, MANY = ("1", "teetee"), ("0..1", "teeodot"), ("many", "crowodot")

# How the type of a relation is written, to keep boxes narrow.
SHORT = {"ForeignKey": "FK", "OneToOneField": "1:1", "ManyToManyField": "M:N"}


def entities(*models: type[Model], title: str, description: str) -> str:
    """Return a box for each model with its fields, and a line for each relation between them.

    A model that stands between two sides of a many-to-many relation is added where it is missing.
    Relations to models that are not drawn are rows in their box and no line.
    """
    return draw(source(*models), title=title, description=description)


def source(*models: type[Model]) -> str:
    """Return the diagram in Graphviz's language."""
    drawn = [model._meta.concrete_model or model for model in models]
    for model in list(drawn):
        between: list[Any] = [field.remote_field.through for field in many_to_many(model)]
        drawn += [through for through in between if not through._meta.auto_created]
    drawn = list(dict.fromkeys(drawn))
    lines = [f"{name(model)} [label=<{''.join(box(model))}>]" for model in drawn]
    lines += [line for model in drawn for line in relations(model, drawn)]
    return "\n".join(["digraph {", "node [shape=plain]", "edge [dir=both]", *lines, "}"])


def name(model: type[Model]) -> str:
    """Return the name of a model's box, which no model of another application has."""
    return f'"{model._meta.label}"'


def many_to_many(model: type[Model]) -> list[Any]:
    """Return the many-to-many fields that a model declares itself."""
    return list(model._meta.local_many_to_many)


def box(model: type[Model]) -> Iterator[str]:
    """Yield the parts of a model's box: its name, a row for each field, and what is unique together."""
    meta = model._meta
    yield '<table border="1" cellborder="0" cellspacing="0" cellpadding="3">'
    yield f'<tr><td bgcolor="lightgray" colspan="2"><b>{escape(meta.object_name or "")}</b></td></tr><hr/>'
    for field in [*meta.private_fields, *meta.local_fields, *meta.local_many_to_many]:
        yield f'<tr><td align="left">{escape(field.name)}&#160;</td><td align="left">{escape(kind(field))}</td></tr>'
    unique = {f"unique: {', '.join(fields)}": None for fields in meta.unique_together}
    for rule in meta.constraints:
        if isinstance(rule, UniqueConstraint):
            unique[f"{'partly ' if rule.condition else ''}unique: {', '.join(rule.fields) or rule.name}"] = None
    for text in unique:
        yield f'<tr><td align="left" colspan="2">{escape(text)}</td></tr>'
    yield "</table>"


def kind(field: Any) -> str:
    """Return the type of a field as the model declares it, and its marks: PK, unique, null."""
    words = type(field).__name__.removesuffix("Field")
    if getattr(field, "max_digits", None):
        words += f"({field.max_digits}, {field.decimal_places})"
    elif getattr(field, "max_length", None) and words == "Char":
        words += f"({field.max_length})"
    if field.is_relation and field.related_model:
        words = f"{SHORT.get(type(field).__name__, words)} {field.related_model._meta.object_name}"
    primary = field in getattr(field.model._meta, "pk_fields", ()) or getattr(field, "primary_key", False)
    unique = getattr(field, "unique", False) and not primary and not field.one_to_one
    marks = {"PK": primary, "unique": unique, "null": getattr(field, "null", False)}
    return " ".join([words, *(mark for mark, holds in marks.items() if holds)])


def relations(model: type[Model], drawn: list[type[Model]]) -> Iterator[str]:
    """Yield a line for each relation that a model declares to a drawn model."""
    for field in [*model._meta.local_fields, *many_to_many(model)]:
        other = field.related_model and field.related_model._meta.concrete_model
        if other not in drawn or (field.many_to_many and not field.remote_field.through._meta.auto_created):
            continue
        here = MANY if field.many_to_many or not field.unique else MAYBE
        there = MANY if field.many_to_many else MAYBE if field.null else ONE
        # Who reads down the line reads "1 to many". A field that is called like the other box goes without saying.
        label = [] if field.name == other._meta.model_name else [field.name]
        label.append(f"{there[0]} to {here[0]}")
        lines = "".join(rf" {line} \l" for line in label)
        yield f'{name(other)} -> {name(model)} [label="{lines}" arrowtail={there[1]} arrowhead={here[1]}]'
