"""Settings of a server whose middleware the environment names, such as MIDDLEWARE_STACK="one sync"."""

import os

from tests.lab.served import *  # noqa: F403  (a settings module is a list of names)
from tests.lab.served import DATABASES
from tests.lab.served import MIDDLEWARE as NINE

SYNC = "lab.asynchronous.sync_and_async_samples.wrong_room"
BOTH = "lab.asynchronous.sync_and_async.room"
STACKS = {
    "no middleware": [],
    "one sync": [SYNC],
    "one both": [BOTH],
    "the lab's nine": NINE,
    "sync, then the nine": [SYNC, *NINE],
    "both, then the nine": [BOTH, *NINE],
    "the nine, then sync": [*NINE, SYNC],
}
MIDDLEWARE = STACKS[os.environ.get("MIDDLEWARE_STACK", "the lab's nine")]
DATABASES["default"]["CONN_MAX_AGE"] = 0  # as Django asks for under ASGI
