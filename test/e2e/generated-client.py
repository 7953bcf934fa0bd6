"""Calls every operation of the API through the client that openapi-python-client generated from its document.

Usage: generated-client.py URL FOLDER MODEL BUILD
FOLDER holds the package `tandem_client`; MODEL and BUILD are files of a model and of an optimised build of it.
Prints a JSON line for each operation that it called, and `"start a worker"` before the first operation that needs a worker.
Exits with 1 if an answer has an unexpected status, or was not parsed into the type that the document names.
"""

import hashlib
import importlib
import io
import json
import pkgutil
import sys
import time

URL, FOLDER, MODEL, BUILD = sys.argv[1:]
sys.path.insert(0, FOLDER)
api = importlib.import_module("tandem_client.api")
m = importlib.import_module("tandem_client.models")
Client = importlib.import_module("tandem_client").Client
File = importlib.import_module("tandem_client.types").File

client = Client(base_url=URL, timeout=60, raise_on_unexpected_status=True)
found = pkgutil.walk_packages(api.__path__, "tandem_client.api.")
operations = {name.rsplit(".", 1)[1]: name for _, name, is_package in found if not is_package}
PATIENCE_S = 120


def call(operation, status, type_name, *path, **given):
    """Calls an operation, checks status and type of the answer, and returns it parsed."""
    answer = importlib.import_module(operations[operation]).sync_detailed(*path, client=client, **given)
    parsed = type(answer.parsed).__name__
    if (answer.status_code, parsed) != (status, type_name):
        sys.exit(f"{operation}: {answer.status_code} {parsed}, expected {status} {type_name}: {answer.content[:500]}")
    print(json.dumps(operation), flush=True)
    return answer.parsed


def wait_for(what, look):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found_now = look()
        if found_now:
            return found_now
        time.sleep(0.1)
    sys.exit(f"not within {PATIENCE_S} s: {what}")


def score_everyone():
    run = call("start_run", 202, "Run", body=m.StartRun(predictor="count", scope=m.StartRunScopeType0.ALL))
    wait_for("the run is done", lambda: call("show_run", 200, "ShowRunAnswer", run.id).state == "done")
    return run


def event_of(user, **data):
    event = m.Event(m.EventSpecversion.VALUE_0, f"python-{time.monotonic_ns()}", "/python", "changed", user)
    event.data = m.EventDataType0.from_dict(data)
    return event


def documentation_and_health():
    call("show_live", 200, "ShowLiveAnswer")
    call("show_ready", 200, "Readiness")
    call("show_metrics", 200, "str")
    call("show_docs", 200, "str")
    call("show_open_api", 200, "ShowOpenApiResponse200")


def runs():
    run = call("start_run", 202, "Run", body=m.StartRun(predictor="count", scope=m.StartRunScopeType0.ALL))
    assert call("cancel_run", 200, "Run", run.id).state == "cancelled"
    call("resume_run", 202, "Run", run.id)
    print(json.dumps("start a worker"), flush=True)
    call("watch_run", 200, "str", run.id)
    wait_for("the run is done", lambda: call("show_run", 200, "ShowRunAnswer", run.id).state == "done")
    assert call("list_runs", 200, "ListRunsAnswer").runs[0].generation == "1"
    assert call("plan_run", 200, "RunPlan", predictor="count", share=0.5).asked.share >= 0.5


def predictions_events_and_outcomes():
    assert call("read_prediction", 200, "Prediction", "count", "1").prediction["score"] == 0
    assert call("send_events", 202, "EventResults", body=event_of("1")).results[0].status == "accepted"
    batch = [event_of("2"), event_of("3")]
    assert [one.user_id for one in call("send_event_batch", 202, "EventResults", body=batch).results] == ["2", "3"]
    many = call("read_predictions", 200, "ReadPredictionsAnswer", "count", body=m.ReadMany(user_ids=["1", "99999"]))
    assert [type(one).__name__ for one in many.results] == ["Prediction", "PredictionError"]
    outcome = m.Outcome(id="order-1", user_id="1", name="order", value=31.5)
    call("send_outcomes", 202, "OutcomeResults", body=m.Outcomes(outcomes=[outcome]))


def inference_protocol():
    call("show_inference_live", 200, "InferenceLive")
    call("show_inference_ready", 200, "InferenceReady")
    for server in ("show_inference_server", "show_inference_server_below"):
        assert call(server, 200, "InferenceServer").name == "tandem"
    model = call("show_inference_model", 200, "InferenceModel", "count")
    version = model.versions[0]
    assert call("show_inference_model_ready", 200, "InferenceModelReady", "count").ready
    assert call("show_inference_model_version", 200, "InferenceModel", "count", version) == model
    assert call("show_inference_model_version_ready", 200, "InferenceModelReady", "count", version).ready
    values = m.InferenceInput(name=model.inputs[0].name, shape=[2, 1], datatype=model.inputs[0].datatype, data=[3, 4])
    body = m.InferenceRequest(inputs=[values])
    assert call("infer_model", 200, "InferenceAnswer", "count", body=body).outputs[0].data == [3, 4]
    users = m.InferenceInput(name="user_id", shape=[2], datatype="BYTES", data=["4", "5"])
    stored = m.InferenceRequest(inputs=[users])
    call("infer_model", 200, "InferenceAnswer", "count.hybrid", body=stored)
    call("infer_model_version", 200, "InferenceAnswer", "count", version, body=body)


def rankings():
    features = [m.RankCandidateFeatures.from_dict({"amount": amount}) for amount in (5, 20)]
    candidates = [m.RankCandidate(id=f"item-{i}", features=one) for i, one in enumerate(features)]
    ranking = call("rank", 200, "Ranking", "checkout", body=m.Rank(user_id="4", by="amount", candidates=candidates))
    assert [one.id for one in ranking.ranked] == ["item-1", "item-0"]


def users():
    call("show_user", 200, "User", "1")
    call("explain_prediction", 200, "Explanation", "1", "count")
    kept = call("keep_explanation", 201, "KeptExplanation", "1", "count")
    call("list_kept_explanations", 200, "ListKeptExplanationsAnswer")
    call("show_kept_explanation", 200, "KeptExplanation", kept.id)
    call("replay_explanation", 200, "Replay", kept.id)
    call("erase_user", 200, "ErasureReceipt", "9")
    call("read_prediction", 404, "Problem", "count", "9")
    call("readmit_user", 200, "Readmission", "9")


def models():
    number = push(MODEL)
    build = push(BUILD, parent=number, build="int8")
    call("show_model", 200, "ModelDetail", "count", number)
    call("list_models", 200, "ListModelsAnswer")
    call("list_models_of_predictor", 200, "ListModelsOfPredictorAnswer", "count")
    call("move_model_label", 200, "MovedLabel", "count", "challenger", body=m.LabelMove(version=number))
    call("compare_build", 200, "BuildComparison", "count", build, body=m.BuildComparisonRequest(users=10))
    for archived in (True, False):
        call("archive_model", 200, "ModelDetail", "count", build, body=m.ArchiveChange(archived=archived))
    return number, build


def push(path, **more):
    with open(path, "rb") as file:
        content = file.read()
    digest = hashlib.sha256(content).hexdigest()
    call("upload_artifact", 201, "Artifact", digest, body=File(payload=io.BytesIO(content)))
    call("show_artifact", 200, "Artifact", digest)
    assert call("download_artifact", 200, "File", digest).payload.read() == content
    features = m.PushFeatures(sql="select user_id, changes from counts")
    body = m.Push(artifact=digest, features=features, **more)
    return call("push_model", 201, "ModelDetail", "count", body=body).model_version


def start(plan):
    rollout = call("start_rollout", 201, "StartedRollout", "count", body=plan)
    wait_for("it runs", lambda: call("show_rollout", 200, "Rollout", rollout.id).state == "running")
    return rollout.id


def rollouts(number, build):
    plan = m.CanaryPlan(m.CanaryPlanKind.CANARY, number, [50, 75, 100], coverage=m.CanaryPlanCoverage.LIVE)
    plan.analysis = m.CanaryPlanAnalysis(automatic=False)
    canary = start(plan)
    call("list_rollouts", 200, "ListRolloutsAnswer")
    call("show_rollout_report", 200, "RolloutReport", canary)
    call("list_rollout_checks", 200, "ListRolloutChecksAnswer", canary)
    call("hold_rollout", 200, "Rollout", canary, body=m.MoveRollout(reason="a look at it"))
    call("resume_rollout", 200, "Rollout", canary, body=m.MoveRollout())
    call("advance_rollout", 200, "Rollout", canary, body=m.MoveRollout())
    call("override_arm", 200, "ArmOverrides", canary, "1", body=m.ArmOverride(variant="candidate"))
    assert call("list_arm_overrides", 200, "ArmOverrides", canary).overrides[0].user_id == "1"
    call("end_arm_override", 200, "ArmOverrides", canary, "1")
    call("promote_rollout", 200, "Rollout", canary, body=m.PromoteRollout())
    shadow = start(m.ShadowPlan(kind=m.ShadowPlanKind.SHADOW, version=build))
    call("show_shadow_report", 200, "ShadowReport", shadow)
    call("abort_rollout", 200, "Rollout", shadow, body=m.MoveRollout())
    arms = [m.AbPlanArm(variant="b", version=build, weight=50)]
    experiment = start(m.AbPlan(m.AbPlanKind.AB, arms, coverage=m.AbPlanCoverage.LIVE))
    call("end_rollout", 200, "Rollout", experiment, body=m.MoveRollout())


def predictors():
    call("list_predictors", 200, "ListPredictorsAnswer")
    call("show_predictor", 200, "Predictor", "count")
    generations = call("list_generations", 200, "ListGenerationsAnswer", "count").generations
    call("show_generation_report", 200, "GenerationReport", "count", generations[0].generation)
    call("approve_generation", 200, "Generation", "count", generations[0].generation)
    call("list_stable_versions", 200, "ListStableVersionsAnswer", "count")
    call("roll_back", 200, "RollBackAnswer", "count", body=m.Rollback())
    call("list_processes", 200, "ListProcessesAnswer")
    call("list_audit", 200, "ListAuditAnswer")


documentation_and_health()
runs()
predictions_events_and_outcomes()
inference_protocol()
rankings()
users()
score_everyone()
predictors()
rollouts(*models())
