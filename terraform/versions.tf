terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.90, < 7.0"
    }
  }

  # Backend of the Terraform state: terraform init -backend-config=backend.hcl (docs/aws.md).
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region            = var.region
  max_retries       = 5
  s3_use_path_style = var.s3_use_path_style

  default_tags {
    tags = merge({ project = "predict-age" }, var.tags)
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  name      = var.name
}
