"""The suppression list of a workspace in S3: the same files below ``suppression/``, the key encrypted with a key of KMS.

The task that reads the source brings the list to its disk, where the code of one machine verifies and uses it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from predict_age.aws.execution_lease import current_execution_lease
from predict_age.aws.hidden_people import hide_from_view
from predict_age.aws.s3_documents import S3Documents
from predict_age.aws.s3_store import Store
from predict_age.errors import BusyError, IntegrityError
from predict_age.pipeline.suppress import GivenIds, SuppressionOutcome, changed_entries, count_missing
from predict_age.runtime.temporary_folder import temporary_folder
from predict_age.source.row_rules import IdType, id_type_named
from predict_age.source.suppression import Entries
from predict_age.storage.documents import ConflictError
from predict_age.storage.publication import Published, note_suppression_list, read_published
from predict_age.storage.suppression_list import (
    FOLDER,
    KEY,
    LIST,
    SuppressionList,
    existing_or_new_key,
    newest_generation,
    read_suppression_list,
    write_suppression_list,
)

KMS_VARIABLE, KMS_ALIAS = "PREDICT_AGE_SUPPRESSION_KMS_KEY", "alias/predict-age-suppression"  # as the module names it
TRIES = 20


def id_rule_in_s3(store: Store) -> IdType | None:
    """Type of the ids of the published run; None where there is none."""
    current = read_published(S3Documents(store)).current
    if not current:
        return None
    return id_type_named(store.document(f"runs/{current}/steps/read_source.json")["facts"].get("pid_type", ""))


def fetch_suppression(store: Store, root: Path, pointer: Published) -> SuppressionList | None:
    """Bring list and key of the workspace to ``root`` and verify them there. Raises ConfigError as on one machine."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, _ in store.names(f"{FOLDER}/"):
        try:
            store.fetch(name, root / name, "")
        except IntegrityError:  # replaced meanwhile: said when the list is read
            continue
    if (folder / KEY).exists():
        (folder / KEY).chmod(0o600)
    return read_suppression_list(root, pointer)


def change_suppression_in_s3(
    store: Store, given: GivenIds, is_running: Callable[[str], bool], *, release: bool = False, rebuild: bool = False
) -> SuppressionOutcome:
    """Put ``given`` ids on the list in S3, or ``release`` them; see :func:`predict_age.pipeline.suppress.change_suppression`.

    Raises BusyError while an execution ``is_running``. One that begins meanwhile is not published, since its list is an older one.
    """
    documents = S3Documents(store)
    for _ in range(TRIES):
        holder = current_execution_lease(documents)
        if holder and not holder.released and is_running(holder.execution):
            raise BusyError(
                "the workspace is in use",
                expected="no execution that goes on",
                found=f"run {holder.run_id}",
                fix="wait until it has ended",
            )
        with tempfile.TemporaryDirectory(dir=temporary_folder()) as folder:
            try:
                return _change(store, Path(folder), given, release=release, rebuild=rebuild)
            except ConflictError:  # another command was quicker
                continue
    raise BusyError("the suppression list changes all the time", expected="no concurrent writer", fix="try again")


def check_suppression_in_s3(store: Store, given: GivenIds | None) -> SuppressionOutcome:
    """Say how many of the ``given`` ids are on the list in S3; see :func:`predict_age.pipeline.suppress.check_suppression`."""
    with tempfile.TemporaryDirectory(dir=temporary_folder()) as folder:
        listed = fetch_suppression(store, Path(folder), read_published(S3Documents(store)))
        several = given.count if given else 0
        missing, before = count_missing(Entries.of(listed), given, listed.key) if listed and given else (several, 0)
    generation, hashes = (listed.generation, listed.listed) if listed else (0, 0)
    return SuppressionOutcome(generation, hashes, several, missing, several - missing, None, released=before)


def _change(store: Store, root: Path, given: GivenIds, *, release: bool, rebuild: bool) -> SuppressionOutcome:
    documents = S3Documents(store)
    pointer = read_published(documents)
    stored = {name: store.head(f"{FOLDER}/{name}") for name in (LIST, KEY)}
    if rebuild:
        listed = None
        store.fetch(f"{FOLDER}/{LIST}", root / FOLDER / LIST, "") if stored[LIST] else None
    else:
        listed = fetch_suppression(store, root, pointer)
    generation = newest_generation(root, pointer) + 1
    key = listed.key if listed else existing_or_new_key(root)
    after, changed = changed_entries(Entries.of(listed) if listed else Entries.none(), given, key, generation if release else 0)
    if listed and not changed:
        made = listed
    else:
        made = write_suppression_list(root, generation, after.as_bytes(), *after.counts, key)
        tags = {name: now.tag if now else None for name, now in stored.items()}
        if not listed:
            encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": os.environ.get(KMS_VARIABLE, KMS_ALIAS)}
            store.put(f"{FOLDER}/{KEY}", root / FOLDER / KEY, tags[KEY], encrypted)
        store.put_part(f"{FOLDER}/{made.ids.name}", made.ids)
        store.put(f"{FOLDER}/{LIST}", root / FOLDER / LIST, tags[LIST])
    hide_from_view(store, given, made.generation, release=release, rebuild=rebuild)
    note_suppression_list(documents, made.generation, made.content_hash)
    kept = {f"{FOLDER}/{name}" for name in (LIST, KEY, made.ids.name)}
    store.delete([name for name, _ in store.names(f"{FOLDER}/") if name not in kept])
    return SuppressionOutcome(made.generation, made.listed, given.count, changed, given.count - changed, None)
