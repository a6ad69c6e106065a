"""What Uvicorn serves, and a way to ask the process where it stands."""

# --8<-- [start:asgi]
import faulthandler
import signal

from django.core.asgi import get_asgi_application

# kill -USR1 <process id> writes the stack of each thread to standard error.
faulthandler.register(signal.SIGUSR1, all_threads=True)
application = get_asgi_application()
# --8<-- [end:asgi]
