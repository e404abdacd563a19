"""The app for servers that import one: the ``main.py`` that ``SOURCE`` names, loaded as ours is."""

import gc
import logging.config
import os

from functions_common.http_server.serving import load_app
from functions_common.observability import logs

gc.disable()
logging.config.dictConfig(logs.configuration(os.environ["GOOGLE_CLOUD_PROJECT"]))
app = load_app(os.environ["SOURCE"])
gc.freeze()
gc.enable()
