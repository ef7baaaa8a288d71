"""Retention rule: what it never removes, for any combination of runs, pointer and keep_runs."""

from hypothesis import given
from hypothesis import strategies as st

from predict_age.storage.publication import Published
from predict_age.storage.retention_rule import RunFacts, RunState, removable_runs

IDS = [f"202501{day:02}T000000Z-{day:08x}" for day in range(1, 13)]
STATES = st.dictionaries(st.sampled_from(IDS), st.sampled_from(RunState))
SOME_IDS = st.sets(st.sampled_from(IDS), max_size=4)


def facts(states: dict[str, RunState]) -> list[RunFacts]:
    return [RunFacts(run_id, state) for run_id, state in states.items()]


def removed(
    states: dict[str, RunState], published: Published, keep_runs: int, in_use: set[str] | frozenset[str] = frozenset()
) -> set[str]:
    return {r.run_id for r in removable_runs(facts(states), published, keep_runs, in_use)}


def in_state(states: dict[str, RunState], state: RunState) -> list[str]:
    return sorted(run_id for run_id, found in states.items() if found is state)


@st.composite
def pointers(draw: st.DrawFn) -> Published:
    """A pointer as the commit protocol leaves it: neither the current run nor the champion's is being removed."""
    current, champion = draw(st.sampled_from(["", *IDS])), draw(st.sampled_from(["", *IDS]))
    quarters = draw(st.dictionaries(st.sampled_from(["2024q4", "2025q1", "2025q2"]), st.sampled_from(IDS)))
    removing = sorted(draw(SOME_IDS) - {current, champion, *quarters.values()})
    return Published(current=current, champion=champion, quarters=quarters, removing=removing)


@given(STATES, pointers(), st.integers(1, 14), SOME_IDS)
def test_runs_that_somebody_needs_are_never_removable(
    states: dict[str, RunState], published: Published, keep_runs: int, in_use: set[str]
) -> None:
    """Current, champion, in use, the newest keep_runs finished ones, and the newest unfinished one that nobody works on."""
    gone = removed(states, published, keep_runs, in_use)
    assert gone <= set(states)
    assert not gone & {published.current, published.champion, *in_use}
    finished = [i for i in in_state(states, RunState.FINISHED) if i not in published.removing]
    assert not gone & set(finished[-keep_runs:])
    unfinished = [i for i in in_state(states, RunState.UNFINISHED) if i not in {*published.removing, *in_use}]
    assert not gone & set(unfinished[-1:])
    assert not gone & (set(in_state(states, RunState.DAMAGED)) - set(published.removing))


@given(STATES, pointers(), st.integers(1, 14), SOME_IDS)
def test_keep_runs_is_respected(states: dict[str, RunState], published: Published, keep_runs: int, in_use: set[str]) -> None:
    """All other finished runs are removable, each once and with a reason; a larger keep_runs never removes more."""
    removable = removable_runs(facts(states), published, keep_runs, in_use)
    gone = [r.run_id for r in removable]
    assert len(gone) == len(set(gone))
    assert all(r.reason for r in removable)
    protected = {published.current, published.champion, *in_use}
    finished = [i for i in in_state(states, RunState.FINISHED) if i not in published.removing]
    assert set(finished[:-keep_runs]) - protected <= set(gone)
    assert (set(in_state(states, RunState.PARTLY_DELETED)) | set(published.removing) & set(states)) - protected <= set(gone)
    assert removed(states, published, keep_runs + 1, in_use) <= set(gone)


@given(STATES, STATES, pointers(), st.integers(1, 14))
def test_failed_runs_never_displace_finished_ones(
    states: dict[str, RunState], more: dict[str, RunState], published: Published, keep_runs: int
) -> None:
    """Whatever unfinished, damaged or half-deleted runs are added, the same finished runs are removable."""
    finished = {i: s for i, s in states.items() if s is RunState.FINISHED}
    others = {i: s for i, s in more.items() if s is not RunState.FINISHED and i not in finished}
    assert removed(finished, published, keep_runs) == removed(finished | others, published, keep_runs) & set(finished)


def test_facts_in_any_order_give_the_same_answer() -> None:
    """Run ids order the runs, not the listing."""
    states = dict.fromkeys(IDS, RunState.FINISHED)
    assert removable_runs(facts(states)[::-1], Published(), 4) == removable_runs(facts(states), Published(), 4)
    assert removed(states, Published(), 4) == set(IDS[:-4])
