"""What libraries tell their makers about an installation: nothing.

ONNX Runtime since 1.29 keeps an id of the machine and events about its processor, memory and sessions in the home of the user, and
sends them (microsoft/onnxruntime, pull request 27379): 128 waited after 60 starts on a machine without a network. MLflow and Ray
count their users too. Each looks at its switch when it is loaded, so the packages that import one set the switches first; the
environment says so to the processes that they start as well.
"""

import os

SWITCHES = {"ORT_DISABLE_TELEMETRY": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "RAY_USAGE_STATS_ENABLED": "0"}
"""Variables of the environment, and the word by which each library keeps to itself."""


def tell_nobody() -> None:
    """Set every switch, whatever the environment says: where payments are decided nobody outside is told of it."""
    os.environ.update(SWITCHES)
