# Both modules in one configuration. Copy this folder into your own repository and change the sources.
#
# `terraform destroy` is refused before it changes anything, because module.storage may not be destroyed. Between two quarters
# nat_enabled = false saves the NAT gateway. `terraform destroy -target=module.pipeline` removes all that computes and leaves results,
# tables and their protection; the next apply brings it back.

module "storage" {
  source            = "../../storage"
  name              = var.name
  bucket            = var.bucket
  existing_database = var.existing_database
  kms_key_arn       = var.kms_key_arn
  access_log_bucket = var.access_log_bucket
  force_destroy     = var.force_destroy
}

module "pipeline" {
  source  = "../.."
  name    = var.name
  storage = module.storage

  image         = var.image
  functions_zip = var.functions_zip
  source_bucket = var.source_bucket
  source_prefix = var.source_prefix
  source_tables = var.source_tables

  training_source        = var.training_source
  training_source_bucket = var.training_source_bucket
  training_source_prefix = var.training_source_prefix

  vpc_id             = var.vpc_id
  subnet_ids         = var.subnet_ids
  vpc_cidr           = var.vpc_cidr
  availability_zones = var.availability_zones
  nat_enabled        = var.nat_enabled

  permissions_boundary = var.permissions_boundary
  source_kms_key_arns  = var.source_kms_key_arns
  reader_principals    = var.reader_principals

  cpu_architecture = var.cpu_architecture
  batches_per_task = var.batches_per_task
  max_concurrency  = var.max_concurrency

  schedule_enabled   = var.schedule_enabled
  config             = var.config
  features           = var.features
  alert_email        = var.alert_email
  monthly_budget_usd = var.monthly_budget_usd
  log_days           = var.log_days

  api_enabled             = var.api_enabled
  api_authorization       = var.api_authorization
  api_jwt                 = var.api_jwt
  api_memory              = var.api_memory
  api_concurrency         = var.api_concurrency
  api_requests_per_second = var.api_requests_per_second
  api_burst               = var.api_burst

  force_destroy = var.force_destroy
}
