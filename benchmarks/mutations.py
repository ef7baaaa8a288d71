"""Do the tests notice wrong code? ``python benchmarks/mutations.py [WORD ...]`` changes one place at a time and runs the tests.

Each mutation is one replacement in one file: an operator, a bound, a check that is skipped, arguments that are swapped. The tests
that exercise the file run on a copy of the repository until the first failure. A mutation is *caught* when they fail and has
*survived* when they pass; nothing is known when they exceed the time limit. With words, only mutations whose file or tests
contain one of them are tried.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = Path("src") / "predict_age"
SECONDS = 420  # for the tests of one mutation


@dataclass(frozen=True)
class Mutation:
    """``old`` occurs once in ``file`` (below the package) and becomes ``new``; ``tests`` are those that exercise it."""

    file: str
    old: str
    new: str
    tests: str  # names of test files without "test_" and ".py"

    @property
    def title(self) -> str:
        """The file and the first line of the replacement."""
        lines = (line.strip() for line in (self.new if self.new.strip() else "(removed)").splitlines())
        return f"{self.file}: {next(line for line in lines if line)[:90]}"


MUTATIONS = (
    # storage: what is written, believed, published and removed
    Mutation("storage/durable_files.py", ' and receipt["file_sha256"] == file_sha256(path)', "", "promise_storage promise_process"),
    Mutation(
        "storage/durable_files.py",
        "            if hashed_json(value) != text:",
        "            if not hashed_json(value):",
        "promise_storage",
    ),
    Mutation(
        "storage/durable_files.py", "        temporary.unlink(missing_ok=True)\n        raise", "        raise", "promise_storage"
    ),
    Mutation("storage/publication.py", "if now.fence != token:", "if now.fence < token:", "promise_storage"),
    Mutation("storage/publication.py", "fence=max(now.fence, token)", "fence=now.fence", "promise_storage"),
    Mutation(
        "storage/lease.py",
        "time.time() - self.beat > self.seconds",
        "time.time() - self.beat > 9 * self.seconds",
        "promise_storage",
    ),
    Mutation("storage/lease.py", "return not born or _born(pid) == born", "return True", "promise_storage"),
    Mutation(
        "storage/documents.py",
        "if (stored.tag if stored else None) != replaces:",
        "if stored is None and replaces:",
        "promise_storage",
    ),
    Mutation(
        "storage/retention_rule.py",
        "max(0, len(finished) - keep_runs)",
        "max(0, len(finished) - keep_runs - 1)",
        "promise_storage gates",
    ),
    Mutation("storage/publication.py", "return {self.current, self.champion}", "return {self.current}", "promise_storage gates"),
    Mutation(
        "storage/row_accounting.py", "self.usable, self.distinct + self.duplicate)", "self.usable, self.usable)", "arithmetic run"
    ),
    Mutation("storage/rollback.py", "if problems := run.problems():", "if problems := run.problems()[1:]:", "promise_storage"),
    Mutation(
        "storage/manifest.py",
        'if manifest.get("format") != MANIFEST_FORMAT:',
        'if manifest.get("format") is None:',
        "promise_storage",
    ),
    # run and pipeline: order, limits, gates, what a resume believes
    Mutation("pipeline/runner.py", "if step.reads_source:", "if not step.reads_source:", "run promise_process"),
    Mutation(
        "pipeline/runner.py",
        "error.errno not in TRANSIENT or attempt == attempts",
        "attempt == attempts",
        "promise_process stopping run promise_input",
    ),
    Mutation(
        "pipeline/recovery.py",
        "(inspection.redo if problems else inspection.kept)",
        "(inspection.redo if problems[1:] else inspection.kept)",
        "promise_process",
    ),
    Mutation(
        "pipeline/verify.py",
        "not predicted.equals(shown.cast(predicted.schema))",
        "predicted.num_rows != shown.num_rows",
        "promise_storage",
    ),
    Mutation("runs/budget.py", "min(minutes) * 60 - used", "min(minutes) * 60", "arithmetic promise_process"),
    Mutation("runs/quality_gates.py", "if before and (before.passed or before.accepted):", "if before:", "gates drift"),
    Mutation("runs/quality_gates.py", "MIN_ROWS_FOR_GATE = 100", "MIN_ROWS_FOR_GATE = 99", "gates"),
    Mutation("runs/incremental.py", ' & (entries["key"][here] == keys[here])', "", "reuse promise_models"),
    Mutation("runs/partitioned_output.py", "        context.lease.check()\n", "", "promise_process promise_storage run"),
    # the suppression list: who is left out, what is hidden, and what stops a command
    Mutation("source/scan.py", "if (hidden := found & usable).any():", "if (hidden := found & ~usable).any():", "suppression_runs"),
    Mutation(
        "source/duplicate_rows.py",
        " + [c.suppressed.rows for c in counts]",
        " + [c.suppressed.rows[:0] for c in counts]",
        "suppression_runs",
    ),
    Mutation("source/convert.py", "        if hiding is not None:", "        if False:", "suppression_runs"),
    Mutation("source/convert.py", ".to_numpy() & ~hidden)", ".to_numpy())", "suppression_runs"),
    Mutation("source/suppressed_records.py", '    if known == "integer" and not', "    if False and not", "suppression_runs"),
    Mutation("source/suppressed_records.py", "int((~right).sum())", "0", "suppression_runs"),
    Mutation(
        "source/suppression.py", "(self.ends == 0) | (self.ends > made_with)", "self.ends == 0", "suppression suppression_runs"
    ),
    Mutation("source/suppression.py", "& ((self.readings & READING_BITS[ids]) > 0)", "", "suppression"),
    Mutation("runs/incremental.py", "pa.array(~hidden & predicted)", "pa.array(predicted)", "suppression_runs"),
    Mutation("runs/visible_people.py", "WHERE NOT {name}(pid)", "WHERE {name}(pid) IS NOT NULL", "suppression_runs"),
    Mutation(
        "runs/visible_people.py",
        "suppression.generation == _made_with(run)",
        "suppression.generation >= _made_with(run)",
        "suppression_runs",
    ),
    Mutation("runs/run.py", "!= self.plan.suppression_list:", '== "never":', "suppression_runs"),
    Mutation("runs/run.py", "decisive.append(self.suppression_list)", "pass", "suppression_runs"),
    Mutation("storage/publication.py", "if now.suppression_list != suppression:", "if False:", "suppression_runs"),
    Mutation("storage/suppression_list.py", "if document.generation < pointer.suppression:", "if False:", "suppression"),
    Mutation("storage/suppression_list.py", "or _sha256(ids) != document.ids_sha256", "", "suppression"),
    Mutation("storage/suppression_list.py", ' or fingerprint not in ("", key_fingerprint(key))', "", "suppression"),
    Mutation("storage/suppression_list.py", "        if pointer.suppression:\n", "        if False:\n", "suppression"),
    Mutation("storage/suppression_list.py", "            stream.restrict()\n", "", "suppression"),
    Mutation("storage/rollback.py", 'int(record.get("suppression", 0))', "0", "suppression_runs"),
    Mutation("cli/run.py", "    Workspace(workspace).suppression  #", "    #", "suppression"),
    Mutation(
        "query/tables.py",
        "                check_reads_tables_only(connection, explained)\n",
        "                pass\n",
        "suppression_runs",
    ),
    Mutation("query/hidden_files.py", ".startswith(HIDES)", '.startswith("never")', "suppression_runs"),
    Mutation(
        "aws/run_mirror.py",
        "if plan.suppression_list != read_published(documents).suppression_list:",
        "if False:",
        "aws_suppression",
    ),
    Mutation("aws/tasks.py", "plan.with_suppression(suppression)", "plan", "aws_suppression"),
    Mutation("aws/lambdas/rollback.py", "!= before.suppression_list:", '== "never":', "aws_suppression"),
    Mutation("aws/suppression.py", "    hide_from_view(store, ", "    (lambda *_, **__: None)(store, ", "aws_suppression"),
    Mutation("aws/hidden_people.py", "fromkeys(gone.tolist(), generation)", "fromkeys(gone.tolist(), 1)", "aws_statements"),
    Mutation("aws/hidden_people.py", "        after.numbers.update(", "        dict(", "aws_suppression"),
    Mutation("aws/hidden_people.py", "end or generation for", "end for", "aws_statements"),
    Mutation("sql/visible_people.sql", " OR released_in > :made_with", " OR :made_with < 0", "aws_statements"),
    Mutation("sql/visible_people.sql", "ids = :ids AND ", ":ids <> '' AND ", "aws_statements"),
    Mutation("steps/read_source.py", " if context.suppression else None", " if False else None", "suppression_runs"),
    Mutation("steps/read_source.py", "set_aside, files, context.suppression)", "set_aside, files, None)", "suppression_runs"),
    Mutation("steps/read_source.py", "number, folder, context.suppression)", "number, folder, None)", "suppression_runs"),
    Mutation("steps/parallel_prediction.py", "delivery, context.suppression)", "delivery, None)", "suppression_runs"),
    Mutation(
        "steps/source_facts.py", "HiddenPeople.of(context.suppression, people)", "HiddenPeople.of(None, people)", "training_source"
    ),
    Mutation("evaluation/ab_test/truth.py", '"), workspace.suppression)', '"), None)', "suppression_runs"),
    Mutation("query/run_diff.py", 'run.checked("results/"), suppression)', 'run.checked("results/"), None)', "suppression_runs"),
    Mutation("query/tables.py", "folder, paths, listed)", "folder, paths, None)", "suppression_runs"),
    Mutation("storage/rollback.py", "    workspace.suppression  #", "    #", "suppression"),
    Mutation("runs/current_folder.py", "[str(path)], listed)", "[str(path)], None)", "export"),
    Mutation("pipeline/suppress.py", "        with withdrawn_folder(workspace):", "        if True:", "export"),
    Mutation("api/model.py", "suppressed | (hidden & valid)", "suppressed", "python_interface"),
    Mutation("api/runs.py", "    space.suppression  #", "    #", "python_interface"),
    Mutation("serving/people.py", "hidden_people(pids, suppression, ", "hidden_people(pids, None, ", "serving"),
    Mutation("serving/served_model.py", "                self.suppression = listed\n", "                pass\n", "serving"),
    Mutation("pipeline/suppress.py", "needed = ids[other][~np.isin(ids[first], gone)]", "needed = ids[other][:0]", "suppression"),
    Mutation("pipeline/suppress.py", "links = np.concatenate([before.links, ", "links = np.concatenate([", "suppression"),
    Mutation("pipeline/suppress.py", "listed, rows.ids, rows.made_with)", "listed, rows.ids)", "suppression_runs"),
    Mutation("pipeline/suppress.py", "given.pids[ids][given.is_id[ids]]", "given.pids[ids]", "suppression_runs"),
    Mutation("source/id_lines.py", "    return form or id_text(line)", "    return id_text(line)", "suppression"),
    Mutation(
        "source/id_lines.py",
        "        return _INVISIBLE if _has_invisible(inner) else id_text(inner)",
        "        return line",
        "suppression",
    ),
    # steps
    Mutation(
        "steps/final_results.py",
        "expected = (predicted.predicted, ",
        "expected = (books.predicted, ",
        "run promise_storage promise_input",
    ),
    Mutation(
        "steps/human_qa.py", "expected = (people.num_rows, ", "expected = (table.num_rows, ", "run promise_input promise_process"
    ),
    Mutation("steps/batch_prediction.py", '"reused": int(kept.sum())', '"reused": 0', "drift reuse"),
    Mutation("steps/training.py", "times * most / max(labelled", "most / max(labelled", "training_sample"),
    # minors
    Mutation("serving/prediction.py", "are_withheld(pids)]] = True", "are_withheld(pids)]] = False", "minors_asked"),
    Mutation("serving/prediction.py", "self.served.records.minors(read.records, number)", "hidden.copy()", "sent_records"),
    Mutation("serving/prediction.py", ", self.served.records.pids(read.records)):", ",):", "sent_records"),
    Mutation("source/flat_records.py", "{_ESCAPE, *names}", "{*names}", "sent_records"),
    Mutation("source/flat_records.py", "source.light_columns if source", "source.age_columns if source", "sent_records"),
    Mutation("features/json_fast_path.py", "values_of_keys = (starts >= 0)", "values_of_keys = (starts > 9999)", "sent_records"),
    Mutation("features/extract.py", "append(irregular | has_key)", "append(has_key)", "sent_records"),
    Mutation("api/people.py", "    if table.column_names == [source.profile_json]:\n", "    if False:\n", "sent_records"),
    # protected attributes, and what init writes
    Mutation(
        "features/protected_categories.py",
        "    return named and PERSONAL",
        "    return PERSONAL",
        "protected_fields",
    ),
    Mutation("features/protected_categories.py", "    text = _SIGN.sub(", "    text = text or _SIGN.sub(", "protected_fields"),
    Mutation(
        "features/protected_vocabulary.py",
        "for listed in _SILENT_BEGINNINGS.values() for",
        'for listed in [_SILENT_BEGINNINGS["English"]] for',
        "protected_fields",
    ),
    Mutation("features/refused_names.py", " and not _is_part_of_birth(text, in_order)", "", "protected_fields"),
    Mutation("features/refused_names.py", "_PART_OF_BIRTH.fullmatch(", "_PART_OF_BIRTH.search(", "protected_fields"),
    Mutation("features/refused_names.py", " and not _LONG_NUMBER.search(text)", "", "protected_fields"),
    Mutation(
        "proposal/shared_numbers.py",
        "    found = shared_number(value, numbers)\n    if",
        "    found = value\n    if",
        "nobody_shown",
    ),
    Mutation("proposal/candidates.py", '"min": 0.0 if low >= 0 else', '"min": 0.0 if numbers[0] >= 0 else', "nobody_shown"),
    Mutation("api/regressor.py", '        text = _QUOTED_ARRAY.sub(" ", str(error))', "        text = str(error)", "regressor"),
    Mutation(
        "pipeline/suppress.py",
        "    current = workspace.published.current\n    return",
        "    current = workspace.runs()[-1].id\n    return",
        "suppression_runs",
    ),
    Mutation("serving/prediction.py", "pa.array(withheld), WITHHELD_PERSON)", "pa.array(hidden), NOBODY)", "minors_asked"),
    Mutation("api/model.py", "withheld = are_withheld(pids, self.withheld) | ", "withheld = ", "minors_asked"),
    Mutation("api/model.py", " | are_withheld(pids, np.sort(pids[minors & valid]))", "", "minors_asked"),
    Mutation("api/model.py", "            if not ages.num_columns:\n", "            if True:\n", "minors_asked"),
    Mutation("api/model.py", "np.flatnonzero(~suppressed & ~withheld)", "np.flatnonzero(~suppressed)", "minors_asked"),
    Mutation("api/model.py", "as_of=as_of or self.rules.as_of)", "as_of=self.rules.as_of)", "minors_asked"),
    Mutation("runs/withheld_people.py", "        check_hash(path, run.files[name])\n", "", "minors_asked"),
    Mutation("source/row_rules.py", "minor = self._between(column, value, 0, self.ages.min_age - 1)", "minor = 'FALSE'", "minors"),
    Mutation("source/row_rules.py", "({c}_unread_minor OR coalesce", "(FALSE OR coalesce", "minors"),
    Mutation("source/row_rules.py", " OR {value} BETWEEN {low} AND {high})", ")", "minors"),
    Mutation("source/row_rules.py", "BETWEEN {low} AND {high} AND year(", "IS NULL AND year(", "minors_in_dates"),
    Mutation("source/unread_minors.py", " OR year({value}) < {_FIRST_YEAR}", "", "minors_in_dates"),
    Mutation("source/unread_minors.py", " OR {value} > {_LAST_YEAR}", "", "minors_in_dates"),
    Mutation("source/minors_in_words.py", "self.count * (1 if is_sex else self.shortest)", "self.count * self.shortest", "minors"),
    Mutation(
        "source/other_dates.py", '("1899-12-30", "1904-01-01", "1960-01-01", "1970-01-01")', '("1899-12-30",)', "minors_in_dates"
    ),
    Mutation("source/minors_in_dates.py", "max(possible) < below", "min(possible) < below", "minors_in_dates"),
    Mutation("source/minors_in_dates.py", "    if not days:\n", "    if False:\n", "minors_in_dates"),
    Mutation(
        "source/minors_in_dates.py", "range(first + (year - first) % 100, as_of.year + 1, 100)", "[2000 + year]", "minors_in_dates"
    ),
    Mutation("source/row_rules.py", "{' OR '.join(minor.values())}", "{' AND '.join(minor.values())}", "minors"),
    Mutation("source/row_rules.py", 'self.ages.zero == "missing"', 'self.ages.zero == "none"', "minors"),
    Mutation("source/row_rules.py", 'age = f"CASE WHEN NOT withheld THEN', 'age = f"CASE WHEN TRUE THEN', "minors"),
    Mutation(
        "source/row_rules.py", 'return f"CASE WHEN NOT withheld THEN TRY_CAST', 'return f"CASE WHEN TRUE THEN TRY_CAST', "minors"
    ),
    Mutation("source/duplicate_rows.py", 'ordered["age"] == WITHHELD):', 'ordered["age"] > WITHHELD):', "scan"),
    Mutation("steps/training_sample.py", ' & ~judged["withheld"].to_numpy()', "", "minors"),
    Mutation("predictor/profile_judgement.py", ".withholding(withholding_rule(ages, delivery.minors))", "", "minors"),
    Mutation("steps/batch_prediction.py", " &= ~fresh.withheld", " &= True", "minors"),
    Mutation("steps/batch_prediction.py", ", predictions.only(~withheld)", ", predictions", "minors"),
    Mutation("models/bundle.py", "return exact.round(2)", "return exact", "confidence models"),
    Mutation("models/bundle.py", "youngest = max(self.youngest, self.rule.min_age)", "youngest = self.youngest", "minors"),
    Mutation(
        "models/bundle.py",
        "above, youngest = self.rule.above(mixture, self.youngest)",
        "above, youngest = mixture, self.youngest",
        "minors",
    ),
    Mutation("models/withholding.py", "missing = self.rate * near / POOLED_YEARS", "missing = 0 * near", "minors"),
    Mutation("models/withholding.py", "(whole_years < self.min_age) | ", "", "minors"),
    Mutation("models/delivery.py", "published = ~ensemble.withheld(outputs)", "published = age > 0", "minors"),
    Mutation("models/delivery.py", "self.people, ~predictions.withheld", "self.people, predictions.age >= 0", "minors"),
    Mutation("models/reuse.py", "    unseen = unseen.only(~bundle.ensemble.withheld(unseen.outputs))", "    pass", "minors"),
    Mutation("models/ensemble.py", "    outside[outside >= 1] = 0.0\n", "    outside[:] = 0.0\n", "minors"),
    Mutation("evaluation/model_card/minors.py", "others=sample.others.filter(published)", "others=sample.others", "minors"),
    Mutation("evaluation/drift/state.py", "int(k[1:]) < youngest)", "int(k[1:]) < 0)", "minors"),
    Mutation("evaluation/ab_test/score.py", ".get('min_age', 0)", ".get('no_age', 0)", "minors"),
    Mutation("query/run_diff.py", "for c, n in changes if c is not None]  # a", "for c, n in changes]  # a", "minors"),
    Mutation("runs/incremental.py", "if any(before.get(key) != value for", "if any(False and value for", "minors"),
    Mutation("runs/incremental.py", "~hidden & predicted", "~hidden", "minors"),
    Mutation("steps/batch_prediction.py", "if age_keys else []", "if not age_keys else []", "minors_in_profiles"),
    Mutation("steps/batch_prediction.py", "judged.usable | minors", "judged.usable", "minors_in_profiles"),
    Mutation("runs/result_checks.py", "    _check_withheld(path, written)\n", "", "minors"),
    Mutation("runs/findings.py", "_zero_ages(source) + ", "", "minors"),
    Mutation("runs/findings.py", "    found += _withheld(prediction) if prediction else []\n", "", "minors"),
    Mutation("storage/row_accounting.py", " + (self.withheld or 0)\n", "\n", "arithmetic"),
    Mutation("pipeline/estimate.py", "        sample.withheld,\n", "        0,\n", "minors"),
    # source
    Mutation("source/duplicate_rows.py", "    best[groups] = candidates[at]", "    best[groups] = best[groups]", "scan run"),
    Mutation("source/external_partition.py", "if len(found) != high - low:", "if len(found) > high - low:", "scan"),
    Mutation(
        "source/source_file.py", "(now.size, now.mtime_ns) != (self.size, self.mtime_ns)", "now.size != self.size", "sources run"
    ),
    Mutation("source/row_group_reader.py", "if first != split.rows:", "if first < split.rows:", "sources promise_input scan"),
    Mutation("source/row_rules.py", "> {self.ages.conflict_years}", ">= {self.ages.conflict_years}", "rows sql"),
    Mutation("source/json_reader.py", "([block[end:]], len(block) - end)", "([], 0)", "sources promise_input"),
    # features and kernels
    Mutation("features/encode.py", '["age_count"] >= MIN_CATEGORY_ROWS', '["age_count"] > MIN_CATEGORY_ROWS', "models features"),
    Mutation("features/fast_columns.py", "isinstance(s, int) and s >= 0", "isinstance(s, int)", "kernels"),
    Mutation("features/refused_names.py", "if words & _AGE and words <= _AGE | _AROUND_AGE:", "if words == _AGE:", "features"),
    Mutation("kernels/leaf_medians.py", "low = high if count % 2 else", "low = high if count % 3 else", "medians"),
    Mutation(
        "kernels/tree_inference.py", "> limits[node]\n                    at", ">= limits[node]\n                    at", "trees"
    ),
    Mutation("kernels/value_cache.py", "if digits > EXACT_DIGITS:", "if digits > EXACT_DIGITS + 3:", "kernels"),
    # models
    Mutation("models/conformal.py", "ceil((len(scores) + 1) * coverage)", "ceil(len(scores) * coverage)", "models promise_models"),
    Mutation("models/ensemble.py", "losses[-1] <= min(losses) * (1 + worth)", "losses[-1] <= min(losses)", "models promise_models"),
    Mutation(
        "models/metrics.py",
        "inside = (lower <= age) & (age <= upper)\n    return",
        "inside = (lower < age) & (age <= upper)\n    return",
        "models card",
    ),
    Mutation("models/density_network.py", "= len(feature_edges) + 1\n", "= len(feature_edges)\n", "models kernels"),
    Mutation(
        "models/conformal.py",
        "np.floor(self.width + 2 * widen + 0.5)",
        "np.floor(self.width + 2 * widen)",
        "models promise_models",
    ),
    Mutation(
        "models/artifact.py", "        if found == expected:\n", "        if found:\n", "models promise_models promise_storage"
    ),
    Mutation(
        "models/training.py",
        "result[position < calibrated] = CALIBRATE",
        "result[position < calibrated] = VALIDATE",
        "models promise_models",
    ),
    Mutation("models/booster_sizes.py", ".mean(axis=0).argmin()", ".mean(axis=0).argmax()", "booster_sizes"),
    # evaluation
    Mutation("evaluation/drift/comparison.py", "if index > index_limit and moved >= minimum:", "if index > index_limit:", "drift"),
    Mutation(
        "evaluation/ab_test/read_out.py",
        "if high < 0 and missed > MAX_COVERAGE_LOSS + coverage_error:",
        "if high < 0 and missed > 1:",
        "experiment",
    ),
    Mutation(
        "evaluation/model_card/age_maps.py",
        "_median_of_value(codes[~test], ages[~test], codes[test]",
        "_median_of_value(codes[test], ages[test], codes[test]",
        "leaks",
    ),
    Mutation("evaluation/model_card/population.py", "ones * (ones + 1) / 2", "ones * ones / 2", "card"),
    # leftovers of dead runs
    Mutation("storage/leftovers.py", "remove_dead_spills(workspace.root) + ", "", "leftovers"),
    Mutation("storage/leftovers.py", " + remove_dead_temporary_folders()", "", "leftovers"),
    Mutation("storage/leftovers.py", "(*SCRATCH_FOLDERS, *WORKING_COPIES)", "SCRATCH_FOLDERS", "leftovers"),
    Mutation("storage/leftovers.py", "    return _remove(run.path, SCRATCH_FOLDERS)", "    return 0", "leftovers"),
    # nothing personal outside tables, purpose
    Mutation(
        "models/age_cells.py",
        "if MIN_SHOWN_PEOPLE <= int(below.sum()) <= len(below) - MIN_SHOWN_PEOPLE:",
        "if 0 < int(below.sum()) < len(below):",
        "personal_data",
    ),
    Mutation(
        "models/age_cells.py", "    if metrics.sample is None:", "    if metrics.sample is not None or True:", "personal_data"
    ),
    Mutation("tally.py", "        if not 0 < folded < MIN_SHOWN_PEOPLE:", "        if True:", "personal_data"),
    Mutation("tally.py", "            if outside >= MIN_SHOWN_PEOPLE:", "            if outside >= 1:", "personal_data"),
    Mutation("tally.py", "if groups and groups[-1][2] < MIN_SHOWN_PEOPLE:", "if groups and groups[-1][2] < 1:", "personal_data"),
    Mutation("features/encode.py", "{value_hashes(salt, name)[v]: m for v, m in means.items()}", "means", "personal_data models"),
    Mutation("features/value_hashes.py", "        state.update(value.encode())", '        state.update(b"")', "personal_data"),
    Mutation(
        "evaluation/drift/state.py",
        "    return without_small_groups(state)\n\n\ndef without",
        "    return state\n\n\ndef without",
        "personal_data",
    ),
    Mutation(
        "evaluation/drift/sketch.py", 'return "~" + value_hashes(DRIFT_SALT, name)[value]', 'return f"={value}"', "personal_data"
    ),
    Mutation("evaluation/model_card/groups.py", "        while shown and 0 < ", "        while False and 0 < ", "personal_data"),
    Mutation("source/value_form.py", "else form_of(match[0])", "else match[0]", "personal_data"),
    Mutation("source/value_form.py", "form_of(name) if hide else name", "name", "csv_headers"),
    Mutation("query/tables.py", "{without_values(said, text)}", "{lines[0]}", "personal_data sql_command"),
    Mutation("cli/app.py", "stream.write(described(error))", "stream.write(repr(error))", "personal_data"),
    Mutation("pipeline/runner.py", 'if out_of_memory or isinstance(error, PredictAgeError | OSError) else ""', "", "personal_data"),
    Mutation("runtime/crash_file.py", '    if type(error).__name__ == "_RemoteTraceback":', "    if not error:", "personal_data"),
    Mutation("purposes.py", "    if refused := _refused(words):", "    if refused := []:", "purpose"),
    Mutation("purposes.py", "    if not text:\n", "    if text:\n", "purpose"),
    Mutation("storage/parquet_writer.py", "PURPOSE_KEY: purpose}", "}", "purpose"),
    Mutation("storage/manifest.py", '        purpose=run.get("purpose"),\n', "", "purpose"),
    Mutation("models/lgbm_model.py", "LightGBMModel(_without_ranges(", "LightGBMModel((", "personal_data"),
    Mutation("steps/training.py", "key_of_run(context.plan.timestamp,", "key_of_run(context.plan.run_id,", "minors"),
    Mutation("models/metrics.py", "if people and sizes and sizes[-1] < MIN_SHOWN_PEOPLE:", "if False:", "personal_data"),
    Mutation("models/metrics.py", "if len(bands) > 1 and sizes[-1] < MIN_SHOWN_PEOPLE:", "if False:", "personal_data"),
    Mutation("models/metrics.py", "        if str(low // 10) in shown:", "        if chosen.any():", "personal_data"),
    Mutation("source/id_hashes.py", 'f"{use}\\0{run_id}".encode()', "use.encode()", "scan reused_model"),
    Mutation("source/id_hashes.py", "    if not key:\n        return checksum", "    if True:\n        return checksum", "scan"),
    Mutation(
        "source/id_hashes.py", "    if not key:\n        return unkeyed", "    if True:\n        return unkeyed", "reused_model"
    ),
    Mutation("storage/leftovers.py", " + remove_dead_temporary_folders()", "", "leftovers"),
    Mutation("runtime/temporary_folder.py", "> KEEP_CRASH_FILES_SECONDS", "> 0", "leftovers"),
    Mutation("runtime/temporary_folder.py", "return not path.is_symlink() and ", "return ", "leftovers"),
    Mutation("storage/leftovers.py", "(*SCRATCH_FOLDERS, *WORKING_COPIES)", "SCRATCH_FOLDERS", "leftovers"),
    Mutation("storage/leftovers.py", "if folder.name == continued else", "if False else", "leftovers"),
    Mutation("pipeline/runner.py", "        remove_scratch(run.folder)\n", "", "leftovers"),
    Mutation("cli/maintain.py", "            remove_dead_attempts(space)\n", "", "leftovers"),
    Mutation(
        "storage/retention.py",
        "RunState.EXPIRED if state is RunState.UNFINISHED and _is_expired(run) else state",
        "state",
        "leftovers",
    ),
    Mutation(
        "storage/spill.py", "        shutil.rmtree(folder, ignore_errors=True)\n\n\ndef of", "        pass\n\n\ndef of", "leftovers"
    ),
    Mutation("source/row_rules.py", '"temp_directory": spill}', '"temp_directory": ".tmp"}', "leftovers"),
    Mutation("cli/inspect.py", "    if not people:", "    if people is None:", "promise_storage"),
    # query, AWS, command line, processes, what everything stands on
    Mutation(
        "query/tables.py", "run.checked(*prefixes) if used else", "run.checked(*prefixes) if not used else", "promise_storage run"
    ),
    Mutation(
        "query/run_diff.py",
        "predicted = [(c, n) for c, n in moves.get((ML, ML), [])",
        "predicted = [(c, n) for c, n in both",
        "promise_storage",
    ),
    Mutation(
        "aws/execution_lease.py",
        "if stored and (lease := _lease_in(stored.value)).token == token:",
        "if stored and (lease := _lease_in(stored.value)):",
        "aws_store aws_machine aws_emulator",
    ),
    Mutation("aws/s3_store.py", "if sha256 and have != sha256:", "if not have:", "aws_store aws_emulator"),
    Mutation("aws/cost_plan.py", "max(seconds, 60.0)", "seconds", "aws_machine"),
    Mutation("pipeline/run_plan.py", "    if base and model:", "    if base and model and False:", "gates"),
    Mutation("html/__init__.py", "autoescape=True", "autoescape=False", "run"),
    Mutation("runtime/worker_pool.py", "if tries[task] >= self.attempts:", "if tries[task] > self.attempts + 1:", "pool"),
    Mutation("runtime/signals.py", "    if not _imports(frame):\n", "    if frame is not None:\n", "stopping"),
    Mutation("synthetic/write.py", "self.first // ROWS_PER_CHUNK]", "0]", "generator"),
    Mutation("hashing.py", "splitmix64(chunk + 1)", "splitmix64(chunk)", "scan"),
    Mutation("tally.py", "[a + b for a, b in", "[max(a, b) for a, b in", "arithmetic drift"),
    Mutation("distributions.py", "-_special().ndtri(alpha)", "_special().ndtri(alpha)", "arithmetic experiment"),
)


def copied(folder: Path) -> Path:
    """The tracked files and compiled kernels, times of change included: kernels that stay as they are need no compiler."""
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    compiled = (p.relative_to(ROOT).as_posix() for p in (ROOT / PACKAGE).rglob("__pycache__/*.nb[ci]"))
    for name in (*names.stdout.splitlines(), *compiled):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def tried(mutation: Mutation, root: Path) -> str:
    """Apply the mutation below ``root``, run its tests, restore the file.

    Returns "caught by ...", "SURVIVED", "STALE ..." (the text is not there any more) or "UNDECIDED ...".
    """
    path = root / PACKAGE / mutation.file
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if text.count(mutation.old) != 1:
        return f"STALE: the text to replace occurs {text.count(mutation.old)} times"
    before = path.stat()
    tests = [f"tests/test_{name}.py" for name in mutation.tests.split()]
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory() as kernels:
        if mutation.file.startswith("kernels/"):  # kernels elsewhere have this one's functions compiled in
            environment["NUMBA_CACHE_DIR"] = kernels

        def run(*what: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "--no-header", *what]
            return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)

        path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        try:
            done = run(*tests)
        except subprocess.TimeoutExpired:
            return "UNDECIDED: the tests took too long"
        finally:
            path.write_text(text, encoding="utf-8")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        if done.returncode == 0:
            return "SURVIVED"
        failed = [
            line.split(" ", 1)[1].split(" - ")[0] for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))
        ]
        if failed and run(failed[0]).returncode:
            return f"UNDECIDED: {failed[0]} fails without the mutation, too"
    return f"caught by {failed[0] if failed else f'exit code {done.returncode}'}"


def main(words: list[str]) -> int:
    """Try the mutations one after the other; 1 when one survived or no longer fits the source."""
    chosen = [m for m in MUTATIONS if not words or any(w in m.file or w in m.tests.split() for w in words)]
    results = []
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        root = copied(Path(folder))
        for number, mutation in enumerate(chosen, 1):
            began = time.monotonic()
            results.append(tried(mutation, root))
            print(f"{number:3} {results[-1]:60} {time.monotonic() - began:5.0f} s  {mutation.title}", flush=True)
    caught = sum(r.startswith("caught") for r in results)
    survived = results.count("SURVIVED")
    print(f"{len(results)} mutations: {caught} caught, {survived} survived, {len(results) - caught - survived} stale or undecided")
    return 0 if caught == len(results) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
