"""The client of the Lambda Runtime API, as Lambda's runtime for Python has one.

Source of the protocol: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
"""

import http.client
import os
import socket
from collections.abc import Callable

_PATH = "/2018-06-01/runtime/invocation"


def run(answer: Callable[[bytes], str]) -> None:
    """Answers events one after the other, over one connection, until the process is stopped."""
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        connection.request("GET", f"{_PATH}/next")
        response = connection.getresponse()
        event = response.read()
        request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
        connection.request("POST", f"{_PATH}/{request_id}/response", answer(event).encode())
        connection.getresponse().read()
