"""Nothing that holds results is lost, shown or replaced: bucket, versions, keys, database, images."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from cloud.iam import DENIED, decision
from cloud.rules.plan import Plan, Values

DOCUMENT_DATABASE = "ai_agent_kb_predict_age"  # of the source tables of the architecture document
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
    if not any(r["abort_incomplete_multipart_upload"] and not _prefix(r) for r in rules):
        yield "unfinished uploads stay for ever"
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
    for resource in (plan.bucket["arn"], f"{plan.bucket['arn']}/x"):
        if decision([*statements, everything], "s3:GetObject", resource, **{"aws:SecureTransport": "false"}) != DENIED:
            yield "the bucket takes calls without TLS"
        if decision([*statements, everything], "s3:GetObject", resource) == DENIED:
            yield "the bucket refuses calls with TLS"
    if any(s["Effect"] == "Allow" for s in statements):
        yield "the bucket's policy gives rights"
    for encryption in plan.of("aws_s3_bucket_server_side_encryption_configuration"):
        default = encryption["rule"][0]["apply_server_side_encryption_by_default"][0]
        if default["sse_algorithm"] == "aws:kms" and not default["kms_master_key_id"]:
            yield "objects are encrypted with a key that no role may use"
    if not plan.of("aws_s3_bucket_server_side_encryption_configuration"):
        yield "objects are not encrypted by a rule of the bucket"
    for kind, attribute in (
        ("aws_s3_bucket", "force_destroy"),
        ("aws_ecr_repository", "force_delete"),
        ("aws_athena_workgroup", "force_destroy"),
    ):
        if any(v[attribute] for v in plan.of(kind)):
            yield f"{kind} is destroyed with what it holds"


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


RULES = (lifecycle, bucket, keys, database, images)


def unprotected(folder: Path) -> list[str]:
    """Resources of the storage module that Terraform would destroy: the plan does not show the protection, the text does."""
    found = []
    for path in sorted(folder.glob("*.tf")):
        for name, body in re.findall(r'^resource "\w+" "(\w+)" \{\n(.*?)^\}', path.read_text(), re.M | re.S):
            if not re.search(r"^  lifecycle \{\n    prevent_destroy = true$", body, re.M):
                found.append(f"{path.name}: {name}")
    return found
