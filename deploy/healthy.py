"""`healthy.py PORT` ends with 0 where the server of this container answers.

Only the process is asked about: a store or a fal that is away is not mended by starting another.
"""

import http.client
import sys

_SECONDS = 3

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=_SECONDS)
try:
    connection.request("GET", "/health")
    status = connection.getresponse().status
except OSError as error:
    sys.exit(f"The server does not answer: {error}")
sys.exit(0 if status == http.client.OK else f"The server answers {status}.")
