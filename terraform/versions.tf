# A module: the caller configures the provider and the backend (examples/complete).

terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.90, < 7.0"
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id # "name" until provider 5, "region" since 6; "id" in both
  name       = var.name
  prefix     = "predict-age"
  bucket     = var.storage.bucket
  bucket_arn = var.storage.bucket_arn
  database   = var.storage.database
}
