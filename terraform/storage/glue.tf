# An existing database is used as it is and never owned: what Terraform does not create it cannot drop.

locals {
  new_database = var.database != "" ? var.database : replace(var.name, "-", "_")
}

resource "aws_glue_catalog_database" "main" {
  count       = var.existing_database == "" ? 1 : 0
  name        = local.new_database
  description = "Tables of predict-age."

  lifecycle {
    prevent_destroy = true

    precondition {
      condition     = local.new_database != "ai_agent_kb_predict_age"
      error_message = "ai_agent_kb_predict_age holds the source tables of the architecture document. To use it: existing_database, which creates and drops nothing."
    }
  }
}
