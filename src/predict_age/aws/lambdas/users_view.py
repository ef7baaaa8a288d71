"""The view for users in Athena: the current result, without people who were suppressed after it was made."""

from __future__ import annotations

from predict_age.aws.lambdas.runtime import Call
from predict_age.aws.object_names import HIDDEN_PEOPLE_FOLDER, hidden_people_salt
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.sql import VIEW, for_athena


def show_users_view(call: Call) -> None:
    """Make the view over the readers' table of the run of this call. One statement: a reader sees the old view or the new one."""
    create_hidden_people_table(call)
    call.athena.run(f"CREATE OR REPLACE VIEW {VIEW} AS\n{users_view(call)}")


def create_hidden_people_table(call: Call) -> None:
    """Create the table of people whom readers do not see, unless it is there: :func:`shown_people` reads it."""
    call.athena.run(for_athena("hidden_people_table", location=call.store.url(HIDDEN_PEOPLE_FOLDER) + "/"))


def users_view(call: Call) -> str:
    """Statement of the view."""
    ids = call.facts(ReadSourceFacts).pid_type
    return shown_people(call, f"(\n{for_athena('final_view', source_ids=ids == 'text')}\n)")


def shown_people(call: Call, rows: str) -> str:
    """Statement for those ``rows`` (a table or a query in brackets) of the run whose people are not suppressed now."""
    ids = call.facts(ReadSourceFacts).pid_type
    return for_athena(
        "visible_people",
        {"predict_age_everybody": rows},
        salt=hidden_people_salt(call.store.url("")),
        ids=ids,
        made_with=int(call.run().get("suppression", 0)),
    )
