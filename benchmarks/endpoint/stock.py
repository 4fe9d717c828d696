"""The stock assembly, each part as its own documentation shows it: FastAPI, pydantic, Feast's online store, MLflow's pyfunc.

No registry, no rules, no reasons, no record of what was decided: whatever it leaves out favours it. The route is `async`, so that
no thread is changed for what runs on one core in any case.
"""

import os

import mlflow
from fastapi import FastAPI
from feast import FeatureStore

from benchmarks.endpoint.peer_store import references
from benchmarks.endpoint.stock_contract import MODEL, STORE, Decision, Operation

MEDIUM, HIGH = 0.05, 0.5

app = FastAPI()
store = FeatureStore(repo_path=os.environ[STORE])
model = mlflow.pyfunc.load_model(os.environ[MODEL])
names = tuple(model.metadata.get_input_schema().input_names())
asked = references(names)


@app.get("/readyz")
async def ready() -> dict[str, bool]:
    """Store and model are open."""
    return {"ready": True}


@app.post("/v1/operations")
async def assess(operation: Operation) -> Decision:
    """Features by key, the score of one row, a level."""
    frame = store.get_online_features(features=asked, entity_rows=[operation.entities]).to_df()
    score = float(model.predict(frame[list(names)].astype("float64"))[0])
    level = "high" if score >= HIGH else "medium" if score >= MEDIUM else "low"
    return Decision(operation_id=operation.operation_id, level=level, score=score)
