"""Topics in a tree, tags in a string, and a relation that gets a column.

The tests make the tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.migrations import operations
from django.db.models import F, Q

if TYPE_CHECKING:
    from django.db.models.query import RawQuerySet


# --8<-- [start:wrong_list]
class ListedCourse(models.Model):
    """A course with its tags in one column: "data,web"."""

    title = models.CharField(max_length=80)
    tags = models.CharField(max_length=200)

    # --8<-- [end:wrong_list]
    class Meta:
        app_label = "database_design"


# --8<-- [start:topic]
class Topic(models.Model):
    """A topic: part of a larger one, and taught after others."""

    name = models.CharField(max_length=80, unique=True)
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="children"
    )
    needs = models.ManyToManyField("self", symmetrical=False, related_name="needed_by")

    # --8<-- [end:topic]
    class Meta:
        app_label = "database_design"


# --8<-- [start:itself]
NOT_IN_ITSELF = models.CheckConstraint(
    condition=~Q(parent=F("pk")), name="topic_not_in_itself"
)
# --8<-- [end:itself]


# --8<-- [start:below]
BELOW = """
    WITH RECURSIVE below AS (
        SELECT id, name, parent_id, 0 AS depth
        FROM database_design_topic WHERE id = %s
      UNION ALL
        SELECT child.id, child.name, child.parent_id, below.depth + 1
        FROM database_design_topic child JOIN below ON child.parent_id = below.id
    )
    SELECT * FROM below ORDER BY depth, name
"""


def below(topic: Topic) -> RawQuerySet[Topic]:
    """Return a topic and all that is in it, at any depth."""
    return Topic._default_manager.raw(BELOW, [topic.pk])


# --8<-- [end:below]


# --8<-- [start:wrong_move]
def wrong_move(topic: Topic, into: Topic) -> None:
    """Put a topic, with all that is in it, into another one."""
    if into in below(topic):
        raise ValidationError("A topic cannot be put into its own part.")
    topic.parent = into
    topic.save(update_fields=["parent"])


# --8<-- [end:wrong_move]


# --8<-- [start:move]
@transaction.atomic
def move(topic: Topic, into: Topic) -> None:
    """Put a topic, with all that is in it, into another one."""
    list(Topic._default_manager.select_for_update().order_by("pk"))
    if into in below(topic):
        raise ValidationError("A topic cannot be put into its own part.")
    topic.parent = into
    topic.save(update_fields=["parent"])


# --8<-- [end:move]


# --8<-- [start:wrong_through]
WRONG_THROUGH = [
    operations.AlterField(
        "Book", "topics", models.ManyToManyField("Topic", through="Chapter")
    )
]
# --8<-- [end:wrong_through]

# --8<-- [start:wrong_recreate]
WRONG_RECREATE = [
    operations.RemoveField("Book", "topics"),
    operations.CreateModel(
        "Chapter",
        [
            ("id", models.BigAutoField(primary_key=True)),
            ("book", models.ForeignKey("Book", models.CASCADE)),
            ("topic", models.ForeignKey("Topic", models.CASCADE)),
            ("pages", models.PositiveSmallIntegerField(null=True)),
        ],
    ),
    operations.AddField(
        "Book", "topics", models.ManyToManyField("Topic", through="Chapter")
    ),
]
# --8<-- [end:wrong_recreate]

# --8<-- [start:through]
THROUGH = [
    operations.SeparateDatabaseAndState(
        state_operations=[
            operations.CreateModel(
                "Chapter",
                [
                    ("id", models.BigAutoField(primary_key=True)),
                    ("book", models.ForeignKey("Book", models.CASCADE)),
                    ("topic", models.ForeignKey("Topic", models.CASCADE)),
                ],
                options={
                    "db_table": "database_design_book_topics",
                    "unique_together": {("book", "topic")},
                },
            ),
            operations.AlterField(
                "Book", "topics", models.ManyToManyField("Topic", through="Chapter")
            ),
        ]
    ),
    operations.AddField(
        "Chapter", "pages", models.PositiveSmallIntegerField(null=True)
    ),
]
# --8<-- [end:through]
