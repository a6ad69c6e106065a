"""Three ways through the handbook: steps, each with its pages below ``docs/``."""

from __future__ import annotations

PYTHON = "technologies/python/"
DJANGO = "technologies/django/"
REST = "technologies/rest-apis/"
DOCKER = "technologies/docker/"
CI = "technologies/ci-cd/"
DATABASE = "concepts/database-design/"
CACHING = "concepts/caching/"
QUEUES = "concepts/message-queues/"
DESIGN = "concepts/system-design/"

Route = dict[str, tuple[str, ...]]

NEW: Route = {
    "The language": (
        f"{PYTHON}names.md",
        f"{PYTHON}data-model.md",
        f"{PYTHON}functions.md",
        f"{PYTHON}exceptions.md",
        f"{PYTHON}classes.md",
        f"{PYTHON}virtual-environments.md",
    ),
    "A site": (
        f"{DJANGO}index.md",
        f"{DJANGO}request-cycle.md",
        f"{DJANGO}models.md",
        f"{DJANGO}migrations.md",
        f"{DJANGO}querysets.md",
        f"{DJANGO}views.md",
        f"{DJANGO}forms.md",
    ),
    "Who may do what, and all or nothing": (
        f"{DJANGO}authentication.md",
        f"{DJANGO}authorization.md",
        f"{DJANGO}transactions.md",
    ),
    "Tests": (
        f"{PYTHON}testing.md",
        "practices/testing.md",
        f"{DJANGO}testing.md",
    ),
    "An API": (
        f"{REST}index.md",
        f"{REST}resources.md",
        f"{REST}representations.md",
        f"{REST}serializers.md",
        f"{REST}views.md",
        f"{REST}routing.md",
        f"{REST}request-cycle.md",
        f"{REST}status-codes.md",
    ),
    "An API that holds": (
        f"{REST}validation.md",
        f"{REST}authentication.md",
        f"{REST}permissions.md",
        "challenges/serialization-errors.md",
    ),
    "Data that stays true": (
        f"{DATABASE}keys.md",
        f"{DATABASE}constraints.md",
        f"{DATABASE}normalization.md",
        "challenges/lost-update.md",
    ),
    "Containers": (
        f"{DOCKER}containers.md",
        f"{DOCKER}isolation.md",
        f"{DOCKER}dockerfile.md",
        f"{DOCKER}production-image.md",
        f"{DOCKER}signals.md",
        f"{DOCKER}compose.md",
    ),
    "Every change checked": (
        f"{CI}automated-testing.md",
        f"{CI}workflows.md",
    ),
}

INTERVIEWS: Route = {
    "Questions about Python": (
        f"{PYTHON}data-model.md",
        f"{PYTHON}iteration.md",
        f"{PYTHON}context-managers.md",
        f"{PYTHON}inheritance.md",
        f"{PYTHON}concurrency.md",
    ),
    "Questions about data": (
        f"{DATABASE}indexes.md",
        f"{DATABASE}query-plans.md",
        f"{DATABASE}isolation.md",
        f"{DATABASE}locks.md",
        "challenges/n-plus-one.md",
    ),
    "Questions about APIs": (
        f"{REST}status-codes.md",
        f"{REST}tokens.md",
        f"{REST}pagination.md",
        "technologies/graphql/rest-and-graphql.md",
        "challenges/object-permission.md",
    ),
    "Questions about scale": (
        f"{CACHING}invalidation.md",
        f"{CACHING}stampede.md",
        "concepts/asynchronous/when-to-use.md",
        f"{QUEUES}delivery.md",
        f"{DESIGN}consistency.md",
        f"{DESIGN}capacity.md",
        f"{DESIGN}worked-design.md",
    ),
}

CAPSTONE: Route = {
    "Agree": (
        f"{REST}errors.md",
        f"{REST}openapi.md",
        f"{REST}front-end.md",
        "practices/collaboration.md",
    ),
    "Model": (
        f"{DATABASE}relationships.md",
        f"{DATABASE}deletion.md",
        f"{DJANGO}application.md",
    ),
    "Build": (
        f"{REST}views.md",
        f"{REST}permissions.md",
        f"{REST}testing.md",
        "practices/separation-of-concerns.md",
    ),
    "Make it fast enough": (
        f"{DATABASE}query-optimization.md",
        f"{CACHING}redis.md",
        f"{QUEUES}celery.md",
    ),
    "Put it online": (
        f"{DOCKER}compose-configuration.md",
        f"{DJANGO}deployment.md",
        f"{DOCKER}django.md",
        f"{CI}jobs.md",
        f"{CI}deployment.md",
        "practices/security.md",
    ),
}
