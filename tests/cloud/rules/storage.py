"""Nothing that holds results is lost, shown or replaced: bucket, versions, keys, database, images."""

from __future__ import annotations

import json
from collections.abc import Iterator

from cloud.iam import DENIED, decision
from cloud.rules.plan import Plan, Values, as_list

DOCUMENT_DATABASE = "ai_agent_kb_predict_age"  # of the source tables of the architecture document
FOREVER, LONGEST_COPY_DAYS = 10**6, 7
COPIES = (("predict-age/runs/r/source/x", "an old version"), ("athena/x", "query output"))  # what people's rows are copied to
READ_AT_ONCE = {"STANDARD", "INTELLIGENT_TIERING", "STANDARD_IA", "ONEZONE_IA", "GLACIER_IR"}
KEPT = (  # object: days that an overwritten or deleted version of it must stay
    ("predict-age/published.json", 30),
    ("predict-age/lease.json", 30),
    ("predict-age/config.toml", 30),
    ("predict-age/suppression/key", 30),
    ("source/part-0.parquet", 30),
    ("predict-age/runs/r/results/x", 1),
    ("predict-age/runs/r/manifest.json", 1),
)


def _lifecycle(plan: Plan) -> list[Values]:
    return [r for c in plan.of("aws_s3_bucket_lifecycle_configuration") for r in c["rule"] if r["status"] == "Enabled"]


def _prefix(rule: Values) -> str:
    return next((f["prefix"] or "" for f in rule["filter"] or []), "")


def lifecycle(plan: Plan) -> Iterator[str]:
    """Rules of the bucket expire query output and unfinished uploads; results can be read at once, old versions stay long enough."""
    rules = _lifecycle(plan)
    aborting = [u["days_after_initiation"] for r in rules if not _prefix(r) for u in r["abort_incomplete_multipart_upload"]]
    if min(aborting, default=FOREVER) > LONGEST_COPY_DAYS:
        yield "unfinished uploads stay for ever"
    for name, what in COPIES:
        mine = [r for r in rules if name.startswith(_prefix(r))]
        gone = [e["days"] for r in mine for e in r["expiration"] if e["days"]]
        old = [e["noncurrent_days"] for r in mine for e in r["noncurrent_version_expiration"]]
        if min(old, default=FOREVER) > LONGEST_COPY_DAYS or (
            what == "query output" and min(gone, default=FOREVER) > LONGEST_COPY_DAYS
        ):
            yield f"{what} with people's rows stays after it was deleted or is not needed any more"
    for rule in rules:
        prefix = _prefix(rule)
        if any(e["days"] or e["date"] for e in rule["expiration"]) and not prefix.startswith("athena/"):
            yield f"objects below {prefix!r} expire"
        for transition in rule["transition"]:
            if transition["storage_class"] not in READ_AT_ONCE:
                yield f"objects below {prefix!r} cannot be read at once"
        for name, days in KEPT:
            for expiry in rule["noncurrent_version_expiration"]:
                if name.startswith(prefix) and expiry["noncurrent_days"] < days and not expiry["newer_noncurrent_versions"]:
                    yield f"versions of {name} are gone after {expiry['noncurrent_days']} days"


def bucket(plan: Plan) -> Iterator[str]:
    """The bucket is private, versioned, encrypted, speaks TLS only and cannot be destroyed with its objects."""
    for block in plan.of("aws_s3_bucket_public_access_block"):
        if not all(block[k] for k in ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")):
            yield "the bucket could be made public"
    if [v["versioning_configuration"][0]["status"] for v in plan.of("aws_s3_bucket_versioning")] != ["Enabled"]:
        yield "the bucket keeps no versions"
    statements = [s for p in plan.of("aws_s3_bucket_policy") for s in json.loads(p["policy"])["Statement"]]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}  # with every right: what does the bucket itself refuse?
    for action, resource in (
        ("s3:ListBucket", plan.bucket["arn"]),
        *((f"s3:{verb}Object", f"{plan.bucket['arn']}/x") for verb in ("Get", "Put", "Delete")),
    ):
        if decision([*statements, everything], action, resource, **{"aws:SecureTransport": "false"}) != DENIED:
            yield "the bucket takes calls without TLS"
        if decision([*statements, everything], action, resource) == DENIED:
            yield "the bucket refuses calls with TLS"
    if any(s["Effect"] == "Allow" for s in statements):
        yield "the bucket's policy gives rights"
    for encryption in plan.of("aws_s3_bucket_server_side_encryption_configuration"):
        default = encryption["rule"][0]["apply_server_side_encryption_by_default"][0]
        if default["sse_algorithm"] == "aws:kms" and not default["kms_master_key_id"]:
            yield "objects are encrypted with a key that no role may use"
        if not encryption["rule"][0]["bucket_key_enabled"]:
            yield "each object asks KMS, which costs by the request"
    if not plan.of("aws_s3_bucket_server_side_encryption_configuration"):
        yield "objects are not encrypted by a rule of the bucket"
    if any(log["target_bucket"] == log["bucket"] for log in plan.of("aws_s3_bucket_logging")):
        yield "the access log is written into the bucket that it is about, and logs itself"
    for kind, attribute in (
        ("aws_s3_bucket", "force_destroy"),
        ("aws_ecr_repository", "force_delete"),
        ("aws_athena_workgroup", "force_destroy"),
    ):
        if any(v[attribute] for v in plan.of(kind)):
            yield f"{kind} is destroyed with what it holds"


def own_key(plan: Plan) -> Iterator[str]:
    """Objects, query output and rights name the same key, or none of them a key; whoever writes may encrypt with it."""
    (rule,) = plan.one("aws_s3_bucket_server_side_encryption_configuration")["rule"]
    (default,) = rule["apply_server_side_encryption_by_default"]
    (settings,) = plan.one("aws_athena_workgroup")["configuration"]
    (result,) = settings["result_configuration"]
    (output,) = result["encryption_configuration"]
    stated = [s for r in plan.roles for s in plan.statements(r) if s.get("Sid") == "ObjectKey"]
    named = {resource for s in stated for resource in as_list(s["Resource"])}
    found = {default["kms_master_key_id"] or None, output["kms_key_arn"] or None, *(named or {None})}
    kinds = (default["sse_algorithm"], output["encryption_option"])
    if len(found) != 1 or kinds != (("AES256", "SSE_S3") if found == {None} else ("aws:kms", "SSE_KMS")):
        yield "objects, query output and roles do not agree on the key"
    for key in found - {None}:
        for role in plan.roles:
            writes = any("s3:PutObject" in as_list(s["Action"]) for s in plan.statements(role))
            if writes and not plan.may(role, "kms:GenerateDataKey", key):
                yield f"{role} may not write with the key of the objects"
    if not result["output_location"].startswith(f"s3://{plan.bucket['id']}/athena/"):
        yield "query output lies where nothing expires"


def keys(plan: Plan) -> Iterator[str]:
    """Keys rotate, and a deleted one can be brought back for a week."""
    for key in plan.of("aws_kms_key"):
        if not key["enable_key_rotation"]:
            yield f"{key['address']} does not rotate"
        if (key["deletion_window_in_days"] or 30) < 7:
            yield f"{key['address']} is gone too soon"
        for statement in json.loads(key["policy"])["Statement"]:
            principal = statement["Principal"]
            owner = isinstance(principal, dict) and str(principal.get("AWS", "")).endswith(":root")
            service = isinstance(principal, dict) and principal.keys() == {"Service"}
            account = statement.get("Condition", {}).get("StringEquals", {}).get("aws:SourceAccount")
            if service and account != "123456789012":
                yield f"{key['address']} opens for the service on behalf of other accounts"
            if statement["Effect"] == "Allow" and not owner and not service:
                yield f"{key['address']} opens for {principal}"


def database(plan: Plan) -> Iterator[str]:
    """Terraform owns no database in which somebody else's tables lie."""
    for owned in plan.of("aws_glue_catalog_database"):
        if owned["name"] in {DOCUMENT_DATABASE, "default"}:
            yield f"the database {owned['name']} is somebody else's"


def images(plan: Plan) -> Iterator[str]:
    """Images are scanned, never replaced, and the image of a run that must be repeated is still there."""
    for repository in plan.of("aws_ecr_repository"):
        if repository["image_tag_mutability"] != "IMMUTABLE":
            yield "images may be replaced"
        if not repository["image_scanning_configuration"][0]["scan_on_push"]:
            yield "images are not scanned"
    for policy in plan.of("aws_ecr_lifecycle_policy"):
        for rule in json.loads(policy["policy"])["rules"]:
            selection = rule["selection"]
            if selection["countType"] != "imageCountMoreThan" or selection["countNumber"] < 5:
                yield "images expire that runs may still need"


RULES = (lifecycle, bucket, own_key, keys, database, images)
