"""Reference table of a feature file."""

from __future__ import annotations

from predict_age.features.spec import Boolean, Category, Count, Date, FeatureSet, ListFlags, Number, Ordered, Ratio, Sql, TextWords


def feature_table(features: FeatureSet) -> str:
    """Markdown table of the features: name, path, meaning, unit, range, default."""
    lines = ["| # | feature | from | meaning | unit | range | default |", "|---|---|---|---|---|---|---|"]
    for number, (name, feature) in enumerate(features.features.items(), start=1):
        if isinstance(feature, Number | Date | Count | Sql | Ratio):
            span = f"{feature.min:g} to {feature.max:g}" + (", clipped" if getattr(feature, "outside", "") == "clip" else "")
        elif isinstance(feature, Ordered):
            span = f"0 to {len(feature.levels) - 1}"
        elif isinstance(feature, Boolean):
            span = "0 or 1"
        elif isinstance(feature, Category | ListFlags | TextWords):
            span = "learned"
        else:
            known = [rule.value for rule in feature.rules] + [feature.otherwise]
            span = f"{min(known):g} to {max(known):g}"
        origin = "expression" if isinstance(feature, Sql) else f"`{feature.path}`"
        default = "training mean" if isinstance(feature, Category | ListFlags | TextWords) else f"{feature.default:g}"
        unit = feature.unit or ("category" if feature.is_category else feature.kind)
        lines.append(f"| {number} | `{name}` | {origin} | {feature.meaning} | {unit} | {span} | {default} |")
    return "\n".join(lines)
