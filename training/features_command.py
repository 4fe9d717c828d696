"""Compute the point-in-time matrix of a history."""

import argparse
import json
import resource
import time
from pathlib import Path

from domain.instants import parse_day_or_instant
from features import history as histories
from features.arrivals import rows_of_history
from features.batch import matrix_of, write_matrix
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.engine import Engine
from features.history import History, between, whole_folder
from features.plan import Plan
