"""``python -m cloud.server PORT``: all of it on loopback; or ``with running() as endpoint`` in a test."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

KEYS = {"AWS_ACCESS_KEY_ID": "root", "AWS_SECRET_ACCESS_KEY": "root", "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1"}


@contextmanager
def running(patience: float = 0.02) -> Iterator[str]:
    """Start everything; yields the address. Once a process: moto keeps its state in memory."""
    import boto3
    from moto.core.config import default_user_config
    from moto.s3.models import FakeDeleteMarker
    from moto.server import ThreadedMotoServer

    from cloud import athena, compute, iam, machine

    os.environ.update(KEYS, AWS_EC2_METADATA_DISABLED="true")
    boto3.DEFAULT_SESSION = None  # it keeps the keys of a test before
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    default_user_config["lambda"]["use_docker"] = False
    athena.install()
    compute.install()
    compute.Settings.credentials = staticmethod(iam.credentials)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    os.environ["AWS_ENDPOINT_URL"] = compute.Settings.endpoint = endpoint
    os.environ["MOTO_PORT"] = endpoint.rpartition(":")[2]
    FakeDeleteMarker.dispose = lambda self, *args, **kwargs: None  # missing: a versioned bucket could not be emptied
    machine.install(endpoint, patience)
    try:
        with iam.enforced():
            yield endpoint
    finally:
        while compute.Settings.instances:
            compute.Settings.instances.popitem()[1].end()
        server.stop()
