"""Settings of the workers that tests start: the lab's, and what a test says in WORKER_SETTINGS, as JSON."""

import json
import os

from tests.lab.served import *  # noqa: F403  (a settings module is a list of names)

globals().update(json.loads(os.environ.get("WORKER_SETTINGS", "{}")))
